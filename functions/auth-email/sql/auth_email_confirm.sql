-- Spends the token: the email is verified, or is another from now on.
--
-- A change ends all sessions but those of the sign-in that asked for it, and every link that was
-- sent before. If the old email was proved to be the user's, it is sent a link that gives it back,
-- of which nothing but that link, one of an earlier change, or time is the end: whoever changed the
-- email may be a stranger, who changes it once more.
CREATE OR REPLACE FUNCTION auth_email_confirm(
    p_token_digest bytea, p_use_id uuid, p_message_id uuid, p_undo_token text, p_undo_token_digest bytea,
    p_undo_ttl_secs integer
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_token email_tokens;
    v_user users;
    v_is_change boolean;
    v_status text;
BEGIN
    -- The user before the token, as everyone locks who spends several tokens.
    SELECT u.* INTO v_user FROM email_tokens t JOIN users u ON u.id = t.user_id
     WHERE t.digest = token_hash(p_token_digest) FOR NO KEY UPDATE OF u;
    SELECT * INTO v_token FROM email_tokens
     WHERE digest = token_hash(p_token_digest) AND purpose IN ('verify_email', 'change_email') FOR UPDATE;
    v_is_change := v_token.purpose = 'change_email';
    v_status := CASE WHEN v_is_change THEN 'changed' ELSE 'verified' END;
    IF v_token.spent_by = p_use_id THEN
        RETURN json_build_object('status', v_status);
    END IF;
    IF NOT email_token_is_good(v_token) OR v_user.id IS NULL OR v_user.disabled_at IS NOT NULL
       OR (NOT v_is_change AND v_user.email <> v_token.email) THEN
        RETURN json_build_object('refusal', 'invalid_token');
    END IF;
    IF v_is_change AND NOT user_email_set(v_user.id, v_token.email) THEN
        -- Somebody else took it first.
        RETURN json_build_object('refusal', 'invalid_token');
    END IF;
    UPDATE email_tokens SET spent_at = now(), spent_by = p_use_id WHERE digest = token_hash(p_token_digest);
    IF NOT v_is_change THEN
        UPDATE users SET email_verified_at = coalesce(email_verified_at, now()) WHERE id = v_user.id;
        PERFORM audit_append(user_home_organization(v_user.id), 'email.verified', v_user.id,
                             prefixed_id('usr_', v_user.id));
        RETURN json_build_object('status', v_status);
    END IF;
    PERFORM sessions_end(v_user.id, 'email_changed', p_sign_in_id => v_token.sign_in_id);
    IF v_user.email_verified_at IS NOT NULL THEN
        -- It is as old as the wish for the change.
        INSERT INTO email_tokens (digest, user_id, purpose, email, sign_in_id, created_at, expires_at)
        VALUES (token_hash(p_undo_token_digest), v_user.id, 'undo_email_change', v_user.email, v_token.sign_in_id,
                v_token.created_at, now() + make_interval(secs => p_undo_ttl_secs));
    END IF;
    PERFORM outbox_add(no_organization(), p_message_id, 'email_changed', v_user.email,
                       CASE WHEN v_user.email_verified_at IS NOT NULL THEN p_undo_token END);
    PERFORM audit_append(user_home_organization(v_user.id), 'email.changed', v_user.id,
                         prefixed_id('usr_', v_user.id));
    RETURN json_build_object('status', v_status,
                             'mail', json_build_object('kind', 'email_changed', 'to', v_user.email));
END;
$$;
