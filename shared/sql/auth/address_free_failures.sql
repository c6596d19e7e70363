-- Failures from one address that cost nothing but themselves. In an office behind one
-- address, that many people may mistype within an hour.
CREATE OR REPLACE FUNCTION address_free_failures() RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN 300;
