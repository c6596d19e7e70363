-- How many notices of one kind a user is sent within a day. Whoever has the password, or a program
-- that signs in without keeping its device, may cause any number; the first ones have said it.
CREATE OR REPLACE FUNCTION notices_per_day() RETURNS integer
LANGUAGE sql IMMUTABLE RETURN 5;
