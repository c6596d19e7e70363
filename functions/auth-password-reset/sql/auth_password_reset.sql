-- Spends the token, sets the password, and ends every session with what is pending. Of N uses at
-- the same moment the user's row lets one through, and the rest find the token spent. A second
-- factor stays what it was. Answers the mail, or none when it was sent before. The account of an
-- email that nobody had proved becomes new (account_renew()).
--
-- A link that was asked for before the last change of the password is worth nothing, even if that
-- change could not see it yet.
CREATE OR REPLACE FUNCTION auth_password_reset(
    p_token_digest bytea, p_use_id uuid, p_new_hash text, p_message_id uuid, p_lease_id uuid, p_address text
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_token email_tokens;
    v_user users;
BEGIN
    PERFORM hash_lease_release(p_lease_id);
    SELECT * INTO v_token FROM email_tokens
     WHERE digest = token_hash(p_token_digest) AND purpose = 'reset_password';
    -- The user before the token, as everyone locks who spends several tokens.
    SELECT * INTO v_user FROM users WHERE id = v_token.user_id FOR NO KEY UPDATE;
    SELECT * INTO v_token FROM email_tokens
     WHERE digest = token_hash(p_token_digest) AND purpose = 'reset_password' FOR UPDATE;
    IF v_token.spent_by = p_use_id THEN
        RETURN json_build_object('mail', NULL);
    END IF;
    IF NOT email_token_is_good(v_token) OR v_user.id IS NULL OR v_token.created_at < v_user.devices_since
       OR v_user.email <> v_token.email OR v_user.disabled_at IS NOT NULL THEN
        RETURN json_build_object('refusal', 'invalid_token');
    END IF;
    UPDATE email_tokens SET spent_at = now(), spent_by = p_use_id WHERE digest = token_hash(p_token_digest);
    -- The mail arrived, or there were no token.
    UPDATE users SET password_hash = p_new_hash, devices_since = clock_timestamp(),
                     email_verified_at = coalesce(email_verified_at, now())
     WHERE id = v_user.id;
    PERFORM sessions_end(v_user.id, CASE WHEN v_user.email_verified_at IS NULL THEN 'account_renewed'
                                         ELSE 'password_reset' END);
    -- Whoever resets may have mistyped before. What others guessed stops nobody here.
    PERFORM guess_forgive(guess_subject(v_user.email, p_address));
    -- Nobody had proved the email before: whoever signed up with it may have been somebody else.
    IF v_user.email_verified_at IS NULL THEN
        PERFORM account_renew(v_user.id);
    END IF;
    PERFORM audit_append(user_home_organization(v_user.id), 'password.reset', v_user.id,
                         prefixed_id('usr_', v_user.id));
    PERFORM outbox_add(no_organization(), p_message_id, 'password_changed', v_user.email, NULL);
    RETURN json_build_object('mail', json_build_object('kind', 'password_changed', 'to', v_user.email));
END;
$$;
