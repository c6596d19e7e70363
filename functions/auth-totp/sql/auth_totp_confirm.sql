-- Puts the enrolment in force, for which a first code was right, and takes the guess's count
-- back.
CREATE OR REPLACE FUNCTION auth_totp_confirm(
    p_digest bytea, p_enrolment bytea, p_totp_step bigint, p_recovery_digests text[]
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := principal_hold(p_digest);
    v_refusal json := session_refusal(v_principal);
    v_enrolment totp_enrolments;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    SELECT * INTO v_enrolment FROM totp_enrolments WHERE user_id = v_principal.user_id;
    IF v_enrolment.confirmed_at IS NOT NULL THEN
        -- Sent twice, the codes that were kept are this caller's.
        RETURN CASE WHEN recovery_codes_are(v_principal.user_id, p_recovery_digests)
                    THEN 'null'::json ELSE json_build_object('refusal', 'totp_enabled') END;
    END IF;
    -- The code was checked against one enrolment, and so says nothing of another.
    IF v_enrolment.enrolment IS DISTINCT FROM p_enrolment THEN
        RETURN json_build_object('refusal', 'totp_not_enrolled');
    END IF;
    UPDATE totp_enrolments SET confirmed_at = now(), last_step = p_totp_step,
           sign_in_id = principal_sign_in(v_principal)
     WHERE user_id = v_principal.user_id;
    PERFORM recovery_codes_replace(v_principal.user_id, p_recovery_digests, principal_sign_in(v_principal));
    PERFORM guess_forgive(enrolment_guess_subject(v_principal));
    -- The other sessions were opened without the second factor. They go on, but
    -- a sensitive change asks each of them for it first.
    UPDATE sessions SET authenticated_at = 'epoch'
     WHERE user_id = v_principal.user_id AND id <> v_principal.session_id AND revoked_at IS NULL;
    PERFORM audit_append(v_principal.organization_id, 'totp.enabled', v_principal.user_id,
                         prefixed_id('usr_', v_principal.user_id));
    PERFORM notice_add(v_principal.user_id, 'second_factor_enabled');
    RETURN 'null'::json;
END;
$$;
