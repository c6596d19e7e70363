-- How far apart mails of a purpose to one email are, once as many were asked for within the
-- hour as may be. It is much less than a link lives.
CREATE OR REPLACE FUNCTION mail_spacing() RETURNS interval
LANGUAGE sql IMMUTABLE RETURN interval '10 minutes';
