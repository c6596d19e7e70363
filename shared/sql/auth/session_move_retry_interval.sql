-- How long after a session moved to another organization its old access token can say so once more,
-- or end the session, because the answer with the new tokens may be lost.
CREATE OR REPLACE FUNCTION session_move_retry_interval() RETURNS interval
LANGUAGE sql IMMUTABLE RETURN interval '1 minute';
