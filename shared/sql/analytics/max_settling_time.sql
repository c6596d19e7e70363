-- For how long a read that settles accounts begins another one: a sixth of the 1.5
-- seconds that a statement has. All that can fall due of one account is posted in
-- 0.4 seconds.
CREATE OR REPLACE FUNCTION max_settling_time() RETURNS interval LANGUAGE sql IMMUTABLE RETURN interval '250 milliseconds';
