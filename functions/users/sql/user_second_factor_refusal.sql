-- Why the caller may not decide on the second factor of a user, or null to go on, with the user's row
-- held.
CREATE OR REPLACE FUNCTION user_second_factor_refusal(p_principal principal, p_user_id uuid) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_refusal json := coalesce(refusal(p_principal, 'users:manage'), session_refusal(p_principal));
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
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
