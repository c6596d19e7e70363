-- Notes that the session's user has just proved who they are. A password is
-- enough for a user without a second factor, and a code for one with it. Null for a
-- code that is good no more.
-- p_lease_id names the request: sent twice, it finds its own name.
CREATE OR REPLACE FUNCTION auth_reauthenticate(
    p_digest bytea, p_verified_hash text, p_enrolment bytea, p_totp_step bigint, p_recovery_digest bytea,
    p_lease_id uuid
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := principal_hold(p_digest);
    v_refusal json := session_refusal(v_principal);
    v_user users;
    v_second_factor text;
    v_confirmed json := json_build_object(
        'status', 'confirmed', 'valid_for_secs', extract(epoch FROM recent_login_interval())::integer);
BEGIN
    PERFORM hash_lease_release(p_lease_id);
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    SELECT * INTO v_user FROM users WHERE id = v_principal.user_id;
    IF EXISTS (SELECT 1 FROM sessions
                WHERE organization_id = session_organization(v_principal) AND id = v_principal.session_id
                  AND authentication_id = p_lease_id) THEN
        RETURN v_confirmed;
    END IF;
    IF p_verified_hash <> v_user.password_hash THEN
        RETURN json_build_object('refusal', 'wrong_password');
    END IF;
    v_second_factor := second_factor_spend(v_user.id, p_enrolment, p_totp_step, p_recovery_digest,
                                           v_principal.organization_id);
    IF v_second_factor = 'required' THEN
        RETURN json_build_object('refusal', 'second_factor_required');
    END IF;
    IF v_second_factor = 'invalid' THEN
        RETURN 'null'::json;
    END IF;
    IF v_second_factor = 'not_enabled' AND p_verified_hash IS NULL THEN
        RETURN json_build_object('refusal', 'password_required');
    END IF;
    -- A code may be of an authenticator that this very session enrolled. So it ends no count of
    -- guesses at the password.
    IF p_verified_hash IS NULL THEN
        PERFORM guess_discount(session_guess_subject(v_principal), p_lease_id);
    ELSE
        PERFORM guess_forgive(session_guess_subject(v_principal));
    END IF;
    UPDATE sessions SET authenticated_at = now(), authentication_id = p_lease_id
     WHERE organization_id = session_organization(v_principal) AND id = v_principal.session_id;
    PERFORM audit_append(v_principal.organization_id, 'session.reauthenticated', v_principal.user_id,
                         prefixed_id('ses_', v_principal.session_id));
    RETURN v_confirmed;
END;
$$;
