-- Wrong guesses in a row that cost nothing but themselves: a person who forgot a password
-- types it that often.
CREATE OR REPLACE FUNCTION guess_free_failures() RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN 5;
