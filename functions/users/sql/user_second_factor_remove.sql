-- Removes the second factor of a user who has lost it, after an interval, and tells them at once.
-- Asked for again, it is due when it was.
CREATE OR REPLACE FUNCTION user_second_factor_remove(p_digest bytea, p_user_id uuid) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := coalesce(refusal(v_principal, 'users:manage'), recent_login_refusal(v_principal),
                               user_second_factor_refusal(v_principal, p_user_id));
    v_due_at timestamptz := now() + second_factor_removal_interval();
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    UPDATE totp_enrolments SET removal_due_at = v_due_at WHERE user_id = p_user_id AND removal_due_at IS NULL;
    IF FOUND THEN
        PERFORM audit_append(v_principal.organization_id, 'totp.removal_requested', v_principal.user_id,
                             prefixed_id('usr_', p_user_id), jsonb_build_object('due_at', rfc3339(v_due_at)));
        -- Always told, however often: the mail is what the interval is for.
        PERFORM outbox_add(no_organization(), owned_id(no_organization(), time_ordered_id()), 'second_factor_removal',
                           u.email, NULL, jsonb_build_object('due_at', rfc3339(v_due_at)))
           FROM users u WHERE u.id = p_user_id;
    END IF;
    RETURN user_second_factor_removal_json(p_user_id);
END;
$$;
