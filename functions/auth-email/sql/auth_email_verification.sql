-- Sends the link that proves the user's email once more.
CREATE OR REPLACE FUNCTION auth_email_verification(
    p_digest bytea, p_address text, p_message_id uuid, p_token text, p_token_digest bytea, p_ttl_secs integer,
    p_max_per_email integer, p_max_per_address integer
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := principal_hold(p_digest);
    v_refusal json := session_refusal(v_principal);
    v_user users;
    v_recipient text := '';
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    SELECT * INTO v_user FROM users WHERE id = v_principal.user_id;
    IF v_user.email_verified_at IS NOT NULL THEN
        RETURN json_build_object('status', 'verified');
    END IF;
    IF EXISTS (SELECT 1 FROM outbox_messages WHERE organization_id = no_organization() AND id = p_message_id) THEN
        RETURN json_build_object('status', 'accepted');
    END IF;
    v_refusal := mail_refusal('verify_email', p_address, p_max_per_address);
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    IF mail_is_allowed('verify_email', v_user.email, p_address, p_max_per_email, v_user.id) THEN
        v_recipient := v_user.email;
        PERFORM email_token_add(p_token_digest, v_user.id, 'verify_email', v_user.email, p_ttl_secs,
                                principal_sign_in(v_principal));
    END IF;
    PERFORM outbox_add(no_organization(), p_message_id, 'verify_email', v_recipient, p_token);
    RETURN json_build_object('status', 'accepted',
                             'mail', json_build_object('kind', 'verify_email', 'to', v_recipient));
END;
$$;
