-- How long a count of guesses lasts after the last one. In hours: a day would be one of the
-- session's zone.
CREATE OR REPLACE FUNCTION guess_count_interval() RETURNS interval
LANGUAGE sql IMMUTABLE RETURN interval '1 hour';
