-- Spends a second factor: the step whose code was right for the enrolment, or a
-- recovery code. Answers 'not_enabled', 'required' when there is neither,
-- 'accepted', or 'invalid', which a code that was used before is too. The caller
-- holds the user's row, so N uses of one code queue and one of them succeeds.
--
-- Whoever has the factor has not lost it: its removal by the platform is withdrawn, which is told to
-- the log of p_organization_id. It is the one in which the session acts, so that a statement holds one
-- log. p_session_id is the session that is just being opened, if one is.
CREATE OR REPLACE FUNCTION second_factor_spend(
    p_user_id uuid, p_enrolment bytea, p_totp_step bigint, p_recovery_digest bytea, p_organization_id uuid,
    p_session_id uuid DEFAULT NULL
) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
    IF totp_enrolment(p_user_id) IS NULL THEN
        RETURN 'not_enabled';
    END IF;
    IF p_totp_step IS NULL AND p_recovery_digest IS NULL THEN
        RETURN 'required';
    END IF;
    IF p_totp_step IS NOT NULL THEN
        UPDATE totp_enrolments SET last_step = p_totp_step
         WHERE user_id = p_user_id AND enrolment = p_enrolment AND last_step < p_totp_step;
    ELSE
        UPDATE recovery_codes SET used_at = now()
         WHERE user_id = p_user_id AND digest = p_recovery_digest AND used_at IS NULL;
    END IF;
    IF NOT FOUND THEN
        RETURN 'invalid';
    END IF;
    IF p_totp_step IS NULL THEN
        PERFORM notice_add(p_user_id, 'recovery_code_used', (
            SELECT jsonb_build_object('codes_left', count(*)::text)
              FROM recovery_codes WHERE user_id = p_user_id AND used_at IS NULL));
    END IF;
    UPDATE totp_enrolments SET removal_due_at = NULL WHERE user_id = p_user_id AND removal_due_at IS NOT NULL;
    IF FOUND THEN
        PERFORM audit_append(p_organization_id, 'totp.removal_withdrawn', p_user_id,
                             prefixed_id('usr_', p_user_id), '{}', p_session_id);
    END IF;
    RETURN 'accepted';
END;
$$;
