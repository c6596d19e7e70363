-- Moves the token's session to the organization of its user that the new tokens lead to: a new
-- session takes its place there, and the old one ends with its tokens. The new one is as old as
-- the sign-in was, and as recently proved.
--
-- The answer may be lost. So for session_move_retry_interval() the old access token can say
-- the same again, which ends the session whose tokens nobody received.
--
-- Whoever ends sessions of a user holds the user's row, their membership, or the session, in this
-- order. So each of them comes before this, or finds the new session.
CREATE OR REPLACE FUNCTION auth_organization_change(
    p_digest bytea, p_session_id uuid, p_access_digest bytea, p_refresh_digest bytea,
    p_access_ttl_secs integer, p_refresh_ttl_secs integer
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_organization_id uuid := token_organization(p_access_digest);
    v_old sessions := session_of_token(p_digest);
    v_principal principal;
    v_is_member boolean;
    v_expires_at timestamptz;
BEGIN
    IF v_old.id IS NULL THEN
        RETURN coalesce(session_refusal(authenticate(p_digest)), json_build_object('refusal', 'unauthenticated'));
    END IF;
    PERFORM 1 FROM users WHERE id = v_old.user_id FOR NO KEY UPDATE;
    v_is_member := membership_hold(v_organization_id, v_old.user_id);
    SELECT * INTO v_old FROM sessions
     WHERE organization_id = v_old.organization_id AND id = v_old.id FOR NO KEY UPDATE;
    -- Sent twice, the first moved it.
    IF v_old.successor_id = p_session_id THEN
        RETURN session_json(v_organization_id, p_session_id, v_old.user_id,
                            least(now() + make_interval(secs => p_access_ttl_secs), session_ends_at(v_old.created_at)));
    END IF;
    -- Who asks, as of now: another statement may have ended the session meanwhile.
    v_principal := authenticate(p_digest);
    IF v_principal.user_id IS NOT NULL THEN
        IF NOT v_is_member THEN
            RETURN json_build_object('refusal', 'not_found');
        END IF;
    ELSIF v_old.successor_organization_id IS DISTINCT FROM v_organization_id OR NOT v_is_member
          OR NOT session_successor_end(v_old, 'moved') THEN
        RETURN json_build_object('refusal', 'unauthenticated');
    END IF;
    v_old.revoked_at := coalesce(v_old.revoked_at, now());
    PERFORM sessions_end(v_old.user_id, 'moved', v_old.organization_id, v_old.id);
    INSERT INTO sessions (organization_id, id, user_id, sign_in_id, user_agent, address, created_at, last_used_at,
                          authenticated_at)
    VALUES (v_organization_id, p_session_id, v_old.user_id, v_old.sign_in_id, v_old.user_agent, v_old.address,
            v_old.created_at,
            -- What session_successor_end() compares.
            v_old.revoked_at, v_old.authenticated_at);
    v_expires_at := session_tokens_add(p_session_id, p_access_digest, p_refresh_digest,
                                       p_access_ttl_secs, p_refresh_ttl_secs);
    UPDATE sessions
       SET successor_organization_id = v_organization_id, successor_id = p_session_id
     WHERE organization_id = v_old.organization_id AND id = v_old.id;
    PERFORM audit_append(v_organization_id, 'session.organization_changed', v_old.user_id,
                         prefixed_id('ses_', p_session_id),
                         jsonb_build_object('previous_session_id', prefixed_id('ses_', v_old.id)));
    RETURN session_json(v_organization_id, p_session_id, v_old.user_id, v_expires_at);
END;
$$;
