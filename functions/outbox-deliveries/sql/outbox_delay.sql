-- How long a message waits after its n-th failure: 1, 2, 4 ... minutes, at most 60.
CREATE OR REPLACE FUNCTION outbox_delay(p_attempts integer) RETURNS interval
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN make_interval(mins => least(60, 2 ^ least(p_attempts - 1, 6))::integer);
