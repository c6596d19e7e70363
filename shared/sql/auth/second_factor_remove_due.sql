-- Deletes a second factor that the platform has removed, once its time has come. It is off since then,
-- whether it was deleted or not. The caller holds the user's row. p_session_id is the session that is
-- just being opened, if one is.
CREATE OR REPLACE FUNCTION second_factor_remove_due(
    p_user_id uuid, p_organization_id uuid, p_session_id uuid DEFAULT NULL
) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM totp_enrolments WHERE user_id = p_user_id AND removal_due_at <= now();
    IF FOUND THEN
        DELETE FROM recovery_codes WHERE user_id = p_user_id;
        PERFORM audit_append(p_organization_id, 'totp.removed', p_user_id,
                             prefixed_id('usr_', p_user_id), '{}', p_session_id);
    END IF;
END;
$$;
