-- The session of an access token that has not expired, whether the session has ended or not; a null
-- one for any other credential.
CREATE OR REPLACE FUNCTION session_of_token(p_digest bytea) RETURNS sessions
LANGUAGE sql STABLE AS $$
    SELECT s FROM access_tokens t
      JOIN sessions s ON s.organization_id = t.organization_id AND s.id = t.session_id
     WHERE t.organization_id = token_organization(p_digest) AND t.digest = token_hash(p_digest)
       AND t.expires_at > now() AND session_ends_at(s.created_at) > now()
$$;
