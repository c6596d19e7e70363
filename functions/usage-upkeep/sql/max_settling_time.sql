-- For how long credits_settle begins another account: two thirds of the 1.5 seconds that a
-- statement has. The account that was begun last takes the rest at most: max_due_grants says how
-- long the largest one takes on a busy machine.
CREATE OR REPLACE FUNCTION max_settling_time() RETURNS interval LANGUAGE sql IMMUTABLE RETURN interval '1 second';
