-- Gives the user new recovery codes; the old ones are good for nothing.
CREATE OR REPLACE FUNCTION auth_recovery_codes_replace(p_digest bytea, p_recovery_digests text[]) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := principal_hold(p_digest);
    v_refusal json := recent_login_refusal(v_principal);
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    IF totp_enrolment(v_principal.user_id) IS NULL THEN
        RETURN json_build_object('refusal', 'totp_not_enabled');
    END IF;
    -- Sent twice, they were replaced by the first.
    IF NOT recovery_codes_are(v_principal.user_id, p_recovery_digests) THEN
        PERFORM recovery_codes_replace(v_principal.user_id, p_recovery_digests, principal_sign_in(v_principal));
        PERFORM audit_append(v_principal.organization_id, 'totp.recovery_codes_replaced', v_principal.user_id,
                             prefixed_id('usr_', v_principal.user_id));
        PERFORM notice_add(v_principal.user_id, 'recovery_codes_replaced');
    END IF;
    RETURN 'null'::json;
END;
$$;
