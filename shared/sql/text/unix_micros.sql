-- Microseconds since 1970, which is all that a time has. The time must have an end.
CREATE OR REPLACE FUNCTION unix_micros(p_time timestamptz) RETURNS bigint
LANGUAGE sql STABLE STRICT PARALLEL SAFE
RETURN (extract(epoch FROM p_time) * 1000000)::bigint;
