-- Spends the token: the email is verified, or is another from now on.
CREATE OR REPLACE FUNCTION auth_email_confirm(p_token_digest bytea, p_use_id uuid, p_message_id uuid) RETURNS json
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
    IF v_is_change THEN
        BEGIN
            UPDATE users SET email = v_token.email, email_verified_at = now() WHERE id = v_user.id;
        EXCEPTION WHEN unique_violation THEN
            -- Somebody else took it first.
            RETURN json_build_object('refusal', 'invalid_token');
        END;
        -- Links that went to the old email open nothing any more.
        UPDATE email_tokens SET spent_at = now()
         WHERE user_id = v_user.id AND spent_at IS NULL AND digest <> token_hash(p_token_digest);
    ELSE
        UPDATE users SET email_verified_at = coalesce(email_verified_at, now()) WHERE id = v_user.id;
    END IF;
    UPDATE email_tokens SET spent_at = now(), spent_by = p_use_id WHERE digest = token_hash(p_token_digest);
    PERFORM audit_append(user_home_organization(v_user.id), 'email.' || v_status, v_user.id,
                         prefixed_id('usr_', v_user.id));
    IF NOT v_is_change THEN
        RETURN json_build_object('status', v_status);
    END IF;
    PERFORM outbox_add(no_organization(), p_message_id, 'email_changed', v_user.email, NULL);
    RETURN json_build_object('status', v_status,
                             'mail', json_build_object('kind', 'email_changed', 'to', v_user.email));
END;
$$;
