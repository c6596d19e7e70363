-- For how long credits_settle begins another account: two thirds of the 1.5 seconds that a
-- statement has, of which one account takes a tenth at most.
CREATE OR REPLACE FUNCTION max_settling_time() RETURNS interval LANGUAGE sql IMMUTABLE RETURN interval '1 second';
