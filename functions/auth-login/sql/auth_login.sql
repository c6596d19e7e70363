-- Opens a session in the user's oldest organization, unless the user was disabled, or
-- the password changed, after the caller read the hash that it verified. A hash made
-- with other parameters is replaced by the caller's new one.
--
-- The second factor of a user who has one is spent in the statement that opens the
-- session; null when it was spent before. A session that is there already was opened by
-- this very statement, sent before.
CREATE OR REPLACE FUNCTION auth_login(
    p_user_id uuid, p_verified_hash text, p_new_hash text, p_session_id uuid,
    p_access_digest bytea, p_refresh_digest bytea, p_access_ttl_secs integer, p_refresh_ttl_secs integer,
    p_user_agent text, p_address text,
    p_enrolment bytea DEFAULT NULL, p_totp_step bigint DEFAULT NULL, p_recovery_digest bytea DEFAULT NULL,
    p_lease_id uuid DEFAULT NULL
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_user users;
    v_organization_id uuid;
    v_expires_at timestamptz := now() + make_interval(secs => p_access_ttl_secs);
    v_second_factor text;
BEGIN
    PERFORM hash_lease_release(p_lease_id);
    SELECT * INTO v_user FROM users WHERE id = p_user_id AND disabled_at IS NULL FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN json_build_object('refusal', 'invalid_credentials');
    END IF;
    SELECT organization_id INTO v_organization_id FROM sessions
     WHERE id = p_session_id AND user_id = p_user_id;
    IF NOT FOUND THEN
        IF v_user.password_hash <> p_verified_hash THEN
            RETURN json_build_object('refusal', 'invalid_credentials');
        END IF;
        SELECT organization_id INTO v_organization_id FROM memberships
         WHERE user_id = p_user_id ORDER BY created_at LIMIT 1;
        IF NOT FOUND THEN
            RETURN json_build_object('refusal', 'invalid_credentials');
        END IF;
        v_second_factor := second_factor_spend(p_user_id, p_enrolment, p_totp_step, p_recovery_digest);
        IF v_second_factor = 'required' THEN
            RETURN json_build_object('refusal', 'second_factor_required');
        END IF;
        IF v_second_factor = 'invalid' THEN
            RETURN 'null'::json;
        END IF;
        IF p_new_hash <> p_verified_hash THEN
            UPDATE users SET password_hash = p_new_hash WHERE id = p_user_id;
        END IF;
        DELETE FROM login_attempts WHERE subject = 'account:' || v_user.email;
        INSERT INTO sessions (id, user_id, organization_id, user_agent, address)
        VALUES (p_session_id, p_user_id, v_organization_id, p_user_agent, p_address);
        INSERT INTO access_tokens (digest, session_id, expires_at)
        VALUES (p_access_digest, p_session_id, v_expires_at);
        INSERT INTO refresh_tokens (digest, session_id, expires_at)
        VALUES (p_refresh_digest, p_session_id, now() + make_interval(secs => p_refresh_ttl_secs));
        PERFORM audit_append(v_organization_id, 'session.opened', p_user_id, prefixed_id('ses_', p_session_id),
                             jsonb_build_object('address', p_address, 'user_agent', p_user_agent)
                             || CASE WHEN v_second_factor = 'accepted' THEN jsonb_build_object(
                                    'second_factor', CASE WHEN p_totp_step IS NULL THEN 'recovery_code' ELSE 'totp' END)
                                ELSE '{}' END);
    END IF;
    RETURN json_build_object(
        'session_id', prefixed_id('ses_', p_session_id),
        'user_id', prefixed_id('usr_', p_user_id),
        'organization_id', prefixed_id('org_', v_organization_id),
        'expires_at', rfc3339(v_expires_at));
END;
$$;
