-- The enrolment whose first code is to be checked, and against what the guess counts. The guess is
-- counted before it is checked.
CREATE OR REPLACE FUNCTION auth_totp_confirm_begin(p_digest bytea, p_guess_id uuid) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := session_refusal(v_principal);
    v_enrolment totp_enrolments;
    v_subject text := enrolment_guess_subject(v_principal);
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    SELECT * INTO v_enrolment FROM totp_enrolments WHERE user_id = v_principal.user_id;
    IF totp_enrolment(v_principal.user_id) IS NOT NULL THEN
        RETURN json_build_object('refusal', 'totp_enabled');
    END IF;
    -- One that was confirmed and is off was removed.
    IF v_enrolment.user_id IS NULL OR v_enrolment.confirmed_at IS NOT NULL OR v_enrolment.created_at <= now() - totp_confirmation_interval() THEN
        RETURN json_build_object('refusal', 'totp_not_enrolled');
    END IF;
    v_refusal := guess_refusal(guess_count(v_subject, p_guess_id, guess_free_failures()));
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    RETURN json_build_object(
        'subject', v_subject,
        'user_id', prefixed_id('usr_', v_principal.user_id),
        'enrolment', encode(v_enrolment.enrolment, 'hex'));
END;
$$;
