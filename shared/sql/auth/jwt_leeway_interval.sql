-- By how much clocks may differ, and how long a list or a token may be on its way.
CREATE OR REPLACE FUNCTION jwt_leeway_interval() RETURNS interval
LANGUAGE sql IMMUTABLE RETURN interval '60 seconds';
