-- Whether the second factor is on, and how many recovery codes are left.
CREATE OR REPLACE FUNCTION auth_totp(p_digest bytea) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := session_refusal(v_principal);
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    RETURN json_build_object(
        'enabled', totp_enrolment(v_principal.user_id) IS NOT NULL,
        'recovery_codes_left', (SELECT count(*) FROM recovery_codes
                                 WHERE user_id = v_principal.user_id AND used_at IS NULL
                                   AND totp_enrolment(v_principal.user_id) IS NOT NULL));
END;
$$;
