-- How recently a user must have proved who they are before a sensitive change.
CREATE OR REPLACE FUNCTION recent_login_interval() RETURNS interval
LANGUAGE sql IMMUTABLE RETURN interval '10 minutes';
