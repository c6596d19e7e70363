-- How long an enrolment waits for its first code.
CREATE OR REPLACE FUNCTION totp_confirmation_interval() RETURNS interval
LANGUAGE sql IMMUTABLE RETURN interval '1 hour';
