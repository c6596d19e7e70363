-- How many accounts a read settles at most; max_settling_time bounds it in time.
CREATE OR REPLACE FUNCTION max_accounts_settled() RETURNS integer LANGUAGE sql IMMUTABLE RETURN 200;
