-- Sends the link that makes another email the user's. One that somebody has is
-- answered alike, so that nobody learns who has an account. Answers the mail, or
-- null when it was sent before.
CREATE OR REPLACE FUNCTION auth_email_change(
    p_digest bytea, p_email text, p_address text, p_message_id uuid, p_token text, p_token_digest bytea,
    p_ttl_secs integer, p_max_per_email integer, p_max_per_address integer
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := principal_hold(p_digest);
    v_refusal json := recent_login_refusal(v_principal);
    v_is_allowed boolean;
    v_recipient text;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    IF EXISTS (SELECT 1 FROM outbox_messages WHERE organization_id = no_organization() AND id = p_message_id) THEN
        RETURN 'null'::json;
    END IF;
    IF EXISTS (SELECT 1 FROM users WHERE id = v_principal.user_id AND email = p_email) THEN
        RETURN json_build_object('refusal', 'unchanged');
    END IF;
    v_refusal := mail_refusal('change_email', p_address, p_max_per_address);
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    v_is_allowed := mail_is_allowed('change_email', p_email, p_address, p_max_per_email, NULL)
                    AND NOT EXISTS (SELECT 1 FROM users WHERE email = p_email)
                    AND NOT email_is_kept(p_email, v_principal.user_id);
    v_recipient := CASE WHEN v_is_allowed THEN p_email ELSE '' END;
    PERFORM email_token_add(p_token_digest, CASE WHEN v_is_allowed THEN v_principal.user_id END,
                            'change_email', p_email, p_ttl_secs, principal_sign_in(v_principal));
    PERFORM outbox_add(no_organization(), p_message_id, 'change_email', v_recipient, p_token);
    PERFORM audit_append(v_principal.organization_id, 'email.change_requested', v_principal.user_id,
                         prefixed_id('usr_', v_principal.user_id), jsonb_build_object('email', p_email));
    RETURN json_build_object('kind', 'change_email', 'to', v_recipient);
END;
$$;
