-- Withdraws the removal of a user's second factor, as long as it is not due.
CREATE OR REPLACE FUNCTION user_second_factor_keep(p_digest bytea, p_user_id uuid) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := user_second_factor_refusal(v_principal, p_user_id);
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    UPDATE totp_enrolments SET removal_due_at = NULL WHERE user_id = p_user_id AND removal_due_at IS NOT NULL;
    IF FOUND THEN
        PERFORM audit_append(v_principal.organization_id, 'totp.removal_withdrawn', v_principal.user_id,
                             prefixed_id('usr_', p_user_id));
    END IF;
    RETURN user_second_factor_removal_json(p_user_id);
END;
$$;
