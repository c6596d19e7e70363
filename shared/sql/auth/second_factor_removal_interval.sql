-- How long a user is told of the removal of their second factor before it is off. Whoever still has the
-- factor signs in meanwhile, which keeps it.
CREATE OR REPLACE FUNCTION second_factor_removal_interval() RETURNS interval
LANGUAGE sql IMMUTABLE RETURN interval '3 days';
