-- Gives a session its first pair of tokens, which do not outlive it; answers when the access token
-- expires.
CREATE OR REPLACE FUNCTION session_tokens_add(
    p_session_id uuid, p_access_digest bytea, p_refresh_digest bytea, p_access_ttl_secs integer,
    p_refresh_ttl_secs integer
) RETURNS timestamptz
LANGUAGE plpgsql AS $$
DECLARE
    v_ends_at timestamptz := (
        SELECT session_ends_at(created_at) FROM sessions
         WHERE organization_id = token_organization(p_access_digest) AND id = p_session_id);
    v_expires_at timestamptz := least(now() + make_interval(secs => p_access_ttl_secs), v_ends_at);
BEGIN
    INSERT INTO access_tokens (organization_id, digest, session_id, expires_at)
    VALUES (token_organization(p_access_digest), token_hash(p_access_digest), p_session_id, v_expires_at);
    INSERT INTO refresh_tokens (organization_id, digest, session_id, expires_at)
    VALUES (token_organization(p_refresh_digest), token_hash(p_refresh_digest), p_session_id,
            least(now() + make_interval(secs => p_refresh_ttl_secs), v_ends_at));
    RETURN v_expires_at;
END;
$$;
