-- How long a key signs before a successor is made without being asked for.
CREATE OR REPLACE FUNCTION signing_key_rotation_interval() RETURNS interval
LANGUAGE sql IMMUTABLE RETURN interval '90 days';
