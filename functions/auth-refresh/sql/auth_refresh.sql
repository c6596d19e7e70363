-- Spends a refresh token for a new pair. The row lock makes N parallel uses
-- queue; the first wins and every other one finds the token spent, which is
-- reuse: it ends the session, and the answer is null. The same caller sending the same statement again
-- is not reuse: it offers the successor that is already there.
CREATE OR REPLACE FUNCTION auth_refresh(
    p_digest bytea, p_access_digest bytea, p_refresh_digest bytea,
    p_access_ttl_secs integer, p_refresh_ttl_secs integer
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_organization_id uuid := token_organization(p_digest);
    v_hash bytea := token_hash(p_digest);
    v_access_hash bytea := token_hash(p_access_digest);
    v_refresh_hash bytea := token_hash(p_refresh_digest);
    v_token refresh_tokens;
    v_session sessions;
    v_ends_at timestamptz;
    v_expires_at timestamptz;
BEGIN
    SELECT * INTO v_token FROM refresh_tokens
     WHERE organization_id = v_organization_id AND digest = v_hash FOR UPDATE;
    IF NOT FOUND THEN
        RETURN json_build_object('refusal', 'invalid_refresh_token');
    END IF;
    IF v_token.successor IS NOT NULL AND v_token.successor <> v_refresh_hash THEN
        SELECT * INTO v_session FROM sessions WHERE organization_id = v_organization_id AND id = v_token.session_id;
        IF sessions_end(v_session.user_id, 'refresh_reused', v_organization_id, v_session.id) > 0 THEN
            PERFORM audit_append(nullif(v_organization_id, no_organization()), 'session.refresh_reused',
                                 v_session.user_id, prefixed_id('ses_', v_session.id), '{}', v_session.id);
        END IF;
        RETURN 'null'::json;
    END IF;
    SELECT * INTO v_session FROM sessions
     WHERE organization_id = v_organization_id AND id = v_token.session_id FOR NO KEY UPDATE;
    v_ends_at := session_ends_at(v_session.created_at);
    IF v_session.revoked_at IS NOT NULL OR v_token.expires_at <= now() OR v_ends_at <= now()
       OR NOT EXISTS (SELECT 1 FROM users WHERE id = v_session.user_id AND disabled_at IS NULL) THEN
        RETURN json_build_object('refusal', 'invalid_refresh_token');
    END IF;
    -- No token outlives the session.
    v_expires_at := least(now() + make_interval(secs => p_access_ttl_secs), v_ends_at);
    UPDATE refresh_tokens SET successor = v_refresh_hash
     WHERE organization_id = v_organization_id AND digest = v_hash;
    INSERT INTO refresh_tokens (organization_id, digest, session_id, expires_at)
    VALUES (v_organization_id, v_refresh_hash, v_session.id,
            least(now() + make_interval(secs => p_refresh_ttl_secs), v_ends_at))
    ON CONFLICT DO NOTHING;
    -- The access token that came with the spent one dies with it.
    DELETE FROM access_tokens
     WHERE organization_id = v_organization_id AND session_id = v_session.id AND digest <> v_access_hash;
    INSERT INTO access_tokens (organization_id, digest, session_id, expires_at)
    VALUES (v_organization_id, v_access_hash, v_session.id, v_expires_at)
    ON CONFLICT DO NOTHING;
    UPDATE sessions SET last_used_at = now() WHERE organization_id = v_organization_id AND id = v_session.id;
    RETURN session_json(v_organization_id, v_session.id, v_session.user_id, v_expires_at);
END;
$$;
