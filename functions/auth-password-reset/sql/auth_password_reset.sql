-- Spends the token, sets the password and ends every session. Of N uses at the
-- same moment the user's row lets one through, and the rest find the token
-- spent. A second factor stays what it was. Answers the mail, or null when it was
-- sent before.
CREATE OR REPLACE FUNCTION auth_password_reset(
    p_token_digest bytea, p_use_id uuid, p_new_hash text, p_message_id uuid, p_lease_id uuid, p_address text
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_token email_tokens;
    v_user users;
BEGIN
    PERFORM hash_lease_release(p_lease_id);
    -- The user before the token, as everyone locks who spends several tokens.
    SELECT u.* INTO v_user FROM email_tokens t JOIN users u ON u.id = t.user_id
     WHERE t.digest = token_hash(p_token_digest) AND t.purpose = 'reset_password'
       FOR NO KEY UPDATE OF u;
    SELECT * INTO v_token FROM email_tokens
     WHERE digest = token_hash(p_token_digest) AND purpose = 'reset_password' FOR UPDATE;
    IF v_token.spent_by = p_use_id THEN
        RETURN 'null'::json;
    END IF;
    IF NOT email_token_is_good(v_token) OR v_user.id IS NULL
       OR v_user.email <> v_token.email OR v_user.disabled_at IS NOT NULL THEN
        RETURN json_build_object('refusal', 'invalid_token');
    END IF;
    UPDATE email_tokens SET spent_at = now(), spent_by = CASE WHEN digest = token_hash(p_token_digest) THEN p_use_id END
     WHERE user_id = v_user.id AND purpose = 'reset_password' AND spent_at IS NULL;
    -- The mail arrived, or there were no token.
    UPDATE users SET password_hash = p_new_hash, devices_since = clock_timestamp(), email_verified_at = coalesce(email_verified_at, now())
     WHERE id = v_user.id;
    UPDATE sessions SET revoked_at = now() WHERE user_id = v_user.id AND revoked_at IS NULL;
    -- Nobody had proved the email before: whoever signed up with it may have been
    -- somebody else, and left a key behind.
    IF v_user.email_verified_at IS NULL THEN
        UPDATE api_keys SET revoked_at = now() WHERE user_id = v_user.id AND revoked_at IS NULL;
    END IF;
    -- Whoever resets may have mistyped before. What others guessed stops nobody here.
    PERFORM guess_forgive(guess_subject(v_user.email, p_address));
    PERFORM audit_append(user_home_organization(v_user.id), 'password.reset', v_user.id,
                         prefixed_id('usr_', v_user.id));
    PERFORM outbox_add(no_organization(), p_message_id, 'password_changed', v_user.email, NULL);
    RETURN json_build_object('kind', 'password_changed', 'to', v_user.email);
END;
$$;
