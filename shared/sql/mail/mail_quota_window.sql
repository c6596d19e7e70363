-- The time within which mail is counted against a quota.
CREATE OR REPLACE FUNCTION mail_quota_window() RETURNS interval
LANGUAGE sql IMMUTABLE RETURN interval '1 hour';
