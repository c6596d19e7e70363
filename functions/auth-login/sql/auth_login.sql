-- Opens a session in the organization that the tokens lead to, unless the user was disabled, or
-- the password changed, after the caller read the hash that it verified. A hash made
-- with other parameters is replaced by the caller's new one.
--
-- A user who has left the organization since, or was in none and has one by now, is told where
-- they sign in, for tokens that lead there: nothing was changed then.
--
-- The second factor of a user who has one is spent in the statement that opens the
-- session; the answer has no session when it was spent before. A session that is there already
-- was opened by this very statement, sent before. The guess was right, so its count is taken back.
CREATE OR REPLACE FUNCTION auth_login(
    p_user_id uuid, p_verified_hash text, p_new_hash text, p_session_id uuid,
    p_access_digest bytea, p_refresh_digest bytea, p_access_ttl_secs integer, p_refresh_ttl_secs integer,
    p_user_agent text, p_address text,
    p_enrolment bytea DEFAULT NULL, p_totp_step bigint DEFAULT NULL, p_recovery_digest bytea DEFAULT NULL,
    p_lease_id uuid DEFAULT NULL, p_subject text DEFAULT NULL
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_user users;
    v_organization_id uuid := token_organization(p_access_digest);
    v_home_id uuid;
    v_expires_at timestamptz := now() + make_interval(secs => p_access_ttl_secs);
    v_second_factor text;
BEGIN
    PERFORM hash_lease_release(p_lease_id);
    SELECT * INTO v_user FROM users WHERE id = p_user_id AND disabled_at IS NULL FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN json_build_object('refusal', 'invalid_credentials');
    END IF;
    IF NOT EXISTS (SELECT 1 FROM sessions WHERE organization_id = v_organization_id AND id = p_session_id
                                            AND user_id = p_user_id) THEN
        IF v_user.password_hash <> p_verified_hash THEN
            RETURN json_build_object('refusal', 'invalid_credentials');
        END IF;
        IF NOT membership_hold(v_organization_id, p_user_id) THEN
            v_home_id := user_home_organization(p_user_id);
            IF v_organization_id <> coalesce(v_home_id, no_organization()) THEN
                RETURN json_build_object(
                    'is_elsewhere', true, 'organization_id', prefixed_id('org_', v_home_id));
            END IF;
        END IF;
        PERFORM second_factor_remove_due(p_user_id, nullif(v_organization_id, no_organization()), p_session_id);
        v_second_factor := second_factor_spend(p_user_id, p_enrolment, p_totp_step, p_recovery_digest,
                                               nullif(v_organization_id, no_organization()), p_session_id);
        IF v_second_factor = 'required' THEN
            RETURN json_build_object('refusal', 'second_factor_required');
        END IF;
        IF v_second_factor = 'invalid' THEN
            RETURN json_build_object('is_elsewhere', false);
        END IF;
        IF p_new_hash <> p_verified_hash THEN
            UPDATE users SET password_hash = p_new_hash WHERE id = p_user_id;
        END IF;
        IF v_user.first_login_at IS NULL THEN
            UPDATE users SET first_login_at = now() WHERE id = p_user_id;
        END IF;
        INSERT INTO sessions (organization_id, id, user_id, user_agent, address)
        VALUES (v_organization_id, p_session_id, p_user_id, p_user_agent, p_address);
        v_expires_at := session_tokens_add(p_session_id, p_access_digest, p_refresh_digest,
                                           p_access_ttl_secs, p_refresh_ttl_secs);
        PERFORM audit_append(nullif(v_organization_id, no_organization()), 'session.opened', p_user_id,
                             prefixed_id('ses_', p_session_id),
                             jsonb_build_object('user_agent', p_user_agent)
                             || CASE WHEN v_second_factor = 'accepted' THEN jsonb_build_object(
                                    'second_factor', CASE WHEN p_totp_step IS NULL THEN 'recovery_code' ELSE 'totp' END)
                                ELSE '{}' END,
                             p_session_id);
        -- A guess that counts as a stranger's came from a device that is not known. Whoever signs
        -- in for the first time has none yet.
        IF v_user.first_login_at IS NOT NULL AND guess_is_strangers(p_subject) THEN
            PERFORM notice_add(p_user_id, 'new_device',
                               jsonb_build_object('address', p_address, 'user_agent', p_user_agent));
        END IF;
        -- Last, because the next guess waits for the row.
        PERFORM guess_forgive(p_subject);
    END IF;
    RETURN json_build_object(
        'is_elsewhere', false,
        'device_issued_micros', device_moment(),
        'session', session_json(v_organization_id, p_session_id, p_user_id, v_expires_at));
END;
$$;
