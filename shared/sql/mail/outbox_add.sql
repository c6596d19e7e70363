-- Writes a message of an organization, or of no_organization(). Safe to send twice: the id is the
-- caller's.
CREATE OR REPLACE FUNCTION outbox_add(
    p_organization_id uuid, p_id uuid, p_kind text, p_recipient text, p_token text, p_detail jsonb DEFAULT '{}'
) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO outbox_messages (organization_id, id, kind, recipient, token, detail, settled_at)
    VALUES (p_organization_id, p_id, p_kind, p_recipient, p_token, p_detail,
            CASE WHEN p_recipient = '' THEN now() END)
    ON CONFLICT DO NOTHING
$$;
