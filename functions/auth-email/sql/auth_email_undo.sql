-- Gives the email back that a change took, and the account to whoever reads its mail: every session
-- ends, with everything that is pending; the password opens nothing any more, and a link that sets
-- another is sent. The email that the account had until now is told.
--
-- A change is undone with all later ones. A second factor ends with its recovery codes if it was
-- put in force after the change was asked for, or by the sign-in that asked; so do recovery codes
-- alone.
CREATE OR REPLACE FUNCTION auth_email_undo(
    p_token_digest bytea, p_use_id uuid, p_notice_id uuid, p_message_id uuid, p_token text,
    p_reset_token_digest bytea, p_ttl_secs integer
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_token email_tokens;
    v_user users;
BEGIN
    -- The user before the token, as everyone locks who spends several tokens.
    SELECT u.* INTO v_user FROM email_tokens t JOIN users u ON u.id = t.user_id
     WHERE t.digest = token_hash(p_token_digest) FOR NO KEY UPDATE OF u;
    SELECT * INTO v_token FROM email_tokens
     WHERE digest = token_hash(p_token_digest) AND purpose = 'undo_email_change' FOR UPDATE;
    IF v_token.spent_by = p_use_id THEN
        RETURN json_build_object('mail', '[]'::json);
    END IF;
    IF NOT email_token_is_good(v_token) OR v_user.id IS NULL OR v_user.disabled_at IS NOT NULL
       OR NOT user_email_set(v_user.id, v_token.email) THEN
        RETURN json_build_object('refusal', 'invalid_token');
    END IF;
    UPDATE email_tokens SET spent_at = now(), spent_by = CASE WHEN digest = v_token.digest THEN p_use_id END
     WHERE user_id = v_user.id AND purpose = 'undo_email_change' AND spent_at IS NULL
       AND created_at >= v_token.created_at;
    UPDATE users SET password_hash = password_void(password_hash), devices_since = clock_timestamp()
     WHERE id = v_user.id;
    PERFORM sessions_end(v_user.id, 'email_undone');
    -- After devices_since, before which no link is good.
    PERFORM email_token_add(p_reset_token_digest, v_user.id, 'reset_password', v_token.email, p_ttl_secs,
                            p_created_at => clock_timestamp());
    PERFORM outbox_add(no_organization(), p_message_id, 'reset_password', v_token.email, p_token);
    IF v_user.email <> v_token.email THEN
        PERFORM outbox_add(no_organization(), p_notice_id, 'email_changed', v_user.email, NULL);
    END IF;
    PERFORM second_factor_remove_due(v_user.id, user_home_organization(v_user.id));
    DELETE FROM totp_enrolments
     WHERE user_id = v_user.id AND (confirmed_at > v_token.created_at OR sign_in_id = v_token.sign_in_id);
    DELETE FROM recovery_codes
     WHERE user_id = v_user.id
       AND (created_at > v_token.created_at OR sign_in_id = v_token.sign_in_id
            OR totp_enrolment(v_user.id) IS NULL);
    PERFORM audit_append(user_home_organization(v_user.id), 'email.change_undone', v_user.id,
                         prefixed_id('usr_', v_user.id));
    RETURN json_build_object('mail', json_build_array(
        json_build_object('kind', 'reset_password', 'to', v_token.email)));
END;
$$;
