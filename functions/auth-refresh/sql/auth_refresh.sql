-- Spends a refresh token for a new pair. N parallel uses queue for the user's row. The first wins,
-- and every other one finds the token spent, which is reuse. An unspent token is reused too if its
-- session has moved to another organization, because whoever moved it has newer tokens.
--
-- Reuse ends every session of the sign-in, wherever it moved, and the answer is null. The same
-- caller sending the same statement again is no reuse: it offers the successor that is already
-- there.
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
    v_user users;
    v_ends_at timestamptz;
    v_expires_at timestamptz;
BEGIN
    SELECT s.* INTO v_session
      FROM refresh_tokens t
      JOIN sessions s ON s.organization_id = t.organization_id AND s.id = t.session_id
     WHERE t.organization_id = v_organization_id AND t.digest = v_hash;
    IF NOT FOUND THEN
        RETURN json_build_object('refusal', 'invalid_refresh_token');
    END IF;
    -- Whatever spends a token, moves a session or ends one holds this row. So both are read again.
    SELECT * INTO v_user FROM users WHERE id = v_session.user_id FOR NO KEY UPDATE;
    SELECT * INTO v_token FROM refresh_tokens WHERE organization_id = v_organization_id AND digest = v_hash;
    SELECT * INTO v_session FROM sessions WHERE organization_id = v_organization_id AND id = v_token.session_id;
    IF v_token.successor <> v_refresh_hash OR (v_token.successor IS NULL AND v_session.successor_id IS NOT NULL) THEN
        IF sessions_end(v_user.id, 'refresh_reused', p_sign_in_id => v_session.sign_in_id) > 0 THEN
            PERFORM audit_append(nullif(v_organization_id, no_organization()), 'session.refresh_reused',
                                 v_user.id, prefixed_id('ses_', v_session.id), '{}', v_session.id);
        END IF;
        RETURN 'null'::json;
    END IF;
    v_ends_at := session_ends_at(v_session.created_at);
    IF v_session.revoked_at IS NOT NULL OR v_token.expires_at <= now() OR v_ends_at <= now()
       OR v_user.disabled_at IS NOT NULL THEN
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
