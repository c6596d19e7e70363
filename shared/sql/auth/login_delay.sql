-- How long a subject is locked out after its n-th failure in a row: not at all
-- up to p_free, then 1, 2, 4 ... seconds, at most 900.
CREATE OR REPLACE FUNCTION login_delay(p_failures integer, p_free integer) RETURNS interval
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN p_failures > p_free
            THEN make_interval(secs => least(900, 2 ^ least(p_failures - p_free - 1, 10)))
            ELSE interval '0' END;
