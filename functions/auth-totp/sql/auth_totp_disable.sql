-- Ends the second factor. One that is off already is as off as the caller wants it.
CREATE OR REPLACE FUNCTION auth_totp_disable(p_digest bytea) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := principal_hold(p_digest);
    v_refusal json := recent_login_refusal(v_principal);
    v_confirmed_at timestamptz;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    PERFORM second_factor_remove_due(v_principal.user_id, v_principal.organization_id);
    DELETE FROM totp_enrolments WHERE user_id = v_principal.user_id RETURNING confirmed_at INTO v_confirmed_at;
    DELETE FROM recovery_codes WHERE user_id = v_principal.user_id;
    IF v_confirmed_at IS NOT NULL THEN
        PERFORM audit_append(v_principal.organization_id, 'totp.disabled', v_principal.user_id,
                             prefixed_id('usr_', v_principal.user_id));
        PERFORM notice_add(v_principal.user_id, 'second_factor_disabled');
    END IF;
    RETURN json_build_object('status', 'disabled');
END;
$$;
