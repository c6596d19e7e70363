-- When a session ends that began at that moment, whatever is done with it. No token of it lives
-- longer.
CREATE OR REPLACE FUNCTION session_ends_at(p_created_at timestamptz) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE
RETURN p_created_at + session_lifetime_interval();
