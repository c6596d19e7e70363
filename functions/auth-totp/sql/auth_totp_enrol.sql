-- Begins an enrolment, in place of one that was not confirmed.
CREATE OR REPLACE FUNCTION auth_totp_enrol(p_digest bytea, p_enrolment bytea) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := principal_hold(p_digest);
    v_refusal json := recent_login_refusal(v_principal);
    v_email text;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    PERFORM second_factor_remove_due(v_principal.user_id, v_principal.organization_id);
    SELECT email INTO v_email FROM users WHERE id = v_principal.user_id;
    INSERT INTO totp_enrolments AS e (user_id, enrolment, sign_in_id)
    VALUES (v_principal.user_id, p_enrolment, principal_sign_in(v_principal))
    ON CONFLICT (user_id) DO UPDATE
       SET enrolment = p_enrolment, sign_in_id = excluded.sign_in_id, created_at = now(), last_step = 0
     WHERE e.confirmed_at IS NULL;
    IF NOT FOUND THEN
        RETURN json_build_object('refusal', 'totp_enabled');
    END IF;
    RETURN json_build_object('user_id', prefixed_id('usr_', v_principal.user_id), 'email', v_email);
END;
$$;
