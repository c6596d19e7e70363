-- Whole seconds since 1970, as in a JWT.
CREATE OR REPLACE FUNCTION unix_secs(p_time timestamptz) RETURNS bigint
LANGUAGE sql STABLE STRICT PARALLEL SAFE
RETURN floor(extract(epoch FROM p_time))::bigint;
