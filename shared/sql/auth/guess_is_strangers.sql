-- Whether a subject is that of a stranger, whose failures count for their address too.
CREATE OR REPLACE FUNCTION guess_is_strangers(p_subject text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN starts_with(p_subject, 'account:');
