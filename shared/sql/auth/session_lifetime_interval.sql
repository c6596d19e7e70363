-- How long a session lives from its sign-in, however often it is refreshed: half a year.
CREATE OR REPLACE FUNCTION session_lifetime_interval() RETURNS interval
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN interval '180 days';
