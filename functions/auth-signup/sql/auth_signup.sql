-- Registers the user unless the email is taken. Whoever has the email is sent
-- the link that proves it, or is told that they have an account; the caller is
-- answered alike. The answer is for the developer's log only.
CREATE OR REPLACE FUNCTION auth_signup(
    p_user_id uuid, p_organization_id uuid, p_email text, p_password_hash text, p_lease_id uuid,
    p_message_id uuid, p_token text, p_token_digest bytea, p_ttl_secs integer, p_max_per_email integer,
    p_address text
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_is_new boolean := user_register(p_user_id, p_organization_id, p_email, p_password_hash);
    v_kind text;
    v_recipient text := '';
BEGIN
    PERFORM hash_lease_release(p_lease_id);
    -- Sent twice, it has written its message already.
    IF EXISTS (SELECT 1 FROM outbox_messages WHERE organization_id = no_organization() AND id = p_message_id) THEN
        RETURN 'null'::json;
    END IF;
    v_kind := CASE WHEN v_is_new THEN 'verify_email' ELSE 'email_taken' END;
    -- Somebody new has no other link. That an email is taken can be said another time.
    IF mail_is_allowed('sign_up', p_email, p_address, p_max_per_email, CASE WHEN v_is_new THEN p_user_id END) THEN
        v_recipient := p_email;
    END IF;
    PERFORM email_token_add(p_token_digest, CASE WHEN v_is_new THEN p_user_id END, 'verify_email', p_email, p_ttl_secs);
    PERFORM outbox_add(no_organization(), p_message_id, v_kind, v_recipient, CASE WHEN v_is_new THEN p_token END);
    RETURN json_build_object('kind', v_kind, 'to', v_recipient);
END;
$$;
