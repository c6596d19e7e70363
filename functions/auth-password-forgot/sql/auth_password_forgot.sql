-- Sends a link with which the password can be replaced. For an email that nobody has, or that was
-- sent enough mail, the mail and its token are written for nobody, nothing is sent, and a link that
-- was sent before stays good. Answers the mail, or null when it was sent before.
--
-- A request beyond the quotas is no event, whoever has the email. Else a stranger could fill the log
-- of an organization. Nor is one that is sent a link beyond the quota of all askers: for an email
-- that nobody has nothing is sent then, and both must cost the same.
CREATE OR REPLACE FUNCTION auth_password_forgot(
    p_email text, p_address text, p_message_id uuid, p_token text, p_token_digest bytea, p_ttl_secs integer,
    p_max_per_email integer, p_max_per_address integer
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_refusal json;
    v_user_id uuid;
    v_known_id uuid;
    v_is_allowed boolean;
    v_is_within_quota boolean;
    v_recipient text;
BEGIN
    IF EXISTS (SELECT 1 FROM outbox_messages WHERE organization_id = no_organization() AND id = p_message_id) THEN
        RETURN 'null'::json;
    END IF;
    v_refusal := mail_refusal('reset_password', p_address, p_max_per_address);
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    SELECT id INTO v_known_id FROM users WHERE email = p_email AND disabled_at IS NULL;
    v_is_allowed := mail_is_allowed('reset_password', p_email, p_address, p_max_per_email, v_known_id);
    v_user_id := CASE WHEN v_is_allowed THEN v_known_id END;
    v_recipient := CASE WHEN v_user_id IS NULL THEN '' ELSE p_email END;
    PERFORM email_token_add(p_token_digest, v_user_id, 'reset_password', p_email, p_ttl_secs);
    PERFORM outbox_add(no_organization(), p_message_id, 'reset_password', v_recipient, p_token);
    SELECT sent <= p_max_per_email INTO v_is_within_quota
      FROM mail_quota WHERE subject = 'email:reset_password:' || p_email;
    IF v_is_allowed AND v_is_within_quota THEN
        -- Of an email that nobody has in the platform's chain, so that both cost the same.
        PERFORM audit_append(user_home_organization(v_known_id), 'password.reset_requested', NULL,
                             coalesce(prefixed_id('usr_', v_known_id), p_email));
    END IF;
    RETURN json_build_object('kind', 'reset_password', 'to', v_recipient);
END;
$$;
