-- Against what the guesses of a live session count: the session alone, so that neither
-- strangers nor other sessions stop its person.
CREATE OR REPLACE FUNCTION session_guess_subject(p_session_id uuid) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN 'session:' || p_session_id;
