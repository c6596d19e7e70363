-- Ends sessions of a person, and what they left pending, by the rule of the event; answers how many
-- sessions ended. Nothing else ends a session.
--
-- Which ones: all others than p_sign_in_id's, or those of p_sign_in_id, or those in
-- p_organization_id, or p_session_id of it, as the rule says.
--
-- It holds the person's row, as whatever makes a session, link, key, invitation or enrolment does.
-- So what is made beside it is there already and ends, or is made by nobody any more.
CREATE OR REPLACE FUNCTION sessions_end(
    p_user_id uuid, p_event text, p_organization_id uuid DEFAULT NULL, p_session_id uuid DEFAULT NULL,
    p_sign_in_id uuid DEFAULT NULL
) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    v_rule record;
    v_sign_ins uuid[];
BEGIN
    v_rule := session_end_rule(p_event);
    IF v_rule.sessions IS NULL THEN
        RAISE 'no rule says what % ends', p_event;
    END IF;
    PERFORM 1 FROM users WHERE id = p_user_id FOR NO KEY UPDATE;
    IF v_rule.sessions = 'session' THEN
        WITH ended AS (
            UPDATE sessions SET revoked_at = now()
             WHERE organization_id = p_organization_id AND id = p_session_id AND user_id = p_user_id
               AND revoked_at IS NULL
            RETURNING sign_in_id)
        SELECT coalesce(array_agg(sign_in_id), '{}') INTO v_sign_ins FROM ended;
    ELSE
        WITH ended AS (
            UPDATE sessions SET revoked_at = now()
             WHERE user_id = p_user_id AND revoked_at IS NULL
               AND CASE v_rule.sessions
                   WHEN 'all' THEN true
                   WHEN 'others' THEN sign_in_id IS DISTINCT FROM p_sign_in_id
                   WHEN 'sign_in' THEN sign_in_id = p_sign_in_id
                   WHEN 'organization' THEN organization_id = p_organization_id END
            RETURNING sign_in_id)
        SELECT coalesce(array_agg(sign_in_id), '{}') INTO v_sign_ins FROM ended;
    END IF;
    -- A link that undoes a change of the email is the owner's, and no session's.
    UPDATE email_tokens SET spent_at = now()
     WHERE user_id = p_user_id AND spent_at IS NULL
       AND CASE CASE purpose WHEN 'verify_email' THEN v_rule.verify_links
                             WHEN 'change_email' THEN v_rule.change_links
                             WHEN 'reset_password' THEN v_rule.reset_links END
           WHEN 'all' THEN true
           WHEN 'made' THEN sign_in_id = ANY (v_sign_ins)
           ELSE false END;
    -- Whoever changes a role may end them too, without the person's row: both hold them in one
    -- order.
    WITH made AS (
        SELECT organization_id, id FROM invitations
         WHERE invited_by = p_user_id AND accepted_at IS NULL AND revoked_at IS NULL
           AND CASE v_rule.invitations
               WHEN 'all' THEN true
               WHEN 'made' THEN sign_in_id = ANY (v_sign_ins)
               WHEN 'organization' THEN organization_id = p_organization_id
               ELSE false END
         ORDER BY organization_id, id FOR NO KEY UPDATE)
    UPDATE invitations i SET revoked_at = now()
      FROM made WHERE i.organization_id = made.organization_id AND i.id = made.id;
    UPDATE api_keys SET revoked_at = now()
     WHERE user_id = p_user_id AND revoked_at IS NULL
       AND CASE v_rule.api_keys
           WHEN 'all' THEN true
           WHEN 'made' THEN sign_in_id = ANY (v_sign_ins)
           WHEN 'organization' THEN organization_id = p_organization_id
           ELSE false END;
    DELETE FROM totp_enrolments
     WHERE user_id = p_user_id AND confirmed_at IS NULL
       AND CASE v_rule.enrolments
           WHEN 'all' THEN true
           WHEN 'made' THEN sign_in_id = ANY (v_sign_ins)
           ELSE false END;
    RETURN cardinality(v_sign_ins);
END;
$$;
