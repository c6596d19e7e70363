-- The enrolment whose first code is to be checked.
CREATE OR REPLACE FUNCTION auth_totp_confirm_begin(p_digest bytea, p_address text) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := session_refusal(v_principal);
    v_email text;
    v_enrolment totp_enrolments;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    SELECT email INTO v_email FROM users WHERE id = v_principal.user_id;
    v_refusal := login_refusal(v_email, p_address);
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    SELECT * INTO v_enrolment FROM totp_enrolments WHERE user_id = v_principal.user_id;
    IF v_enrolment.confirmed_at IS NOT NULL THEN
        RETURN json_build_object('refusal', 'totp_enabled');
    END IF;
    IF v_enrolment.user_id IS NULL OR v_enrolment.created_at <= now() - totp_confirmation_interval() THEN
        RETURN json_build_object('refusal', 'totp_not_enrolled');
    END IF;
    RETURN json_build_object(
        'user_id', prefixed_id('usr_', v_principal.user_id), 'email', v_email,
        'enrolment', encode(v_enrolment.enrolment, 'hex'));
END;
$$;
