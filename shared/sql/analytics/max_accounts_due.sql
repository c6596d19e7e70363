-- Of how many more a read works out what has lapsed: 10,000 at some 25
-- microseconds each are 0.25 of the 1.5 seconds.
CREATE OR REPLACE FUNCTION max_accounts_due() RETURNS integer LANGUAGE sql IMMUTABLE RETURN 10000;
