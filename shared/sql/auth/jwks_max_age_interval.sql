-- How long a published list of keys may be kept by whoever fetched it: the max-age
-- that the list is sent with.
CREATE OR REPLACE FUNCTION jwks_max_age_interval() RETURNS interval
LANGUAGE sql IMMUTABLE RETURN interval '300 seconds';
