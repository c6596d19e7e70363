-- How long a subject waits after its n-th wrong guess in a row: not at all up to p_free,
-- then 1, 2, 4 ... seconds, at most 900. Null for no wait.
CREATE OR REPLACE FUNCTION guess_delay(p_failures integer, p_free integer) RETURNS interval
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN p_failures > p_free
            THEN make_interval(secs => least(900, 2 ^ least(p_failures - p_free - 1, 10))) END;
