-- Holds the user's row; why the caller may not decide on their second factor, or null to go on.
CREATE OR REPLACE FUNCTION user_second_factor_refusal(p_principal principal, p_user_id uuid) RETURNS json
LANGUAGE plpgsql AS $$
BEGIN
    IF p_user_id = p_principal.user_id THEN
        RETURN json_build_object('refusal', 'own_second_factor');
    END IF;
    PERFORM 1 FROM users WHERE id = p_user_id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN json_build_object('refusal', 'not_found');
    END IF;
    IF totp_enrolment(p_user_id) IS NULL THEN
        RETURN json_build_object('refusal', 'totp_not_enabled');
    END IF;
    RETURN NULL;
END;
$$;
