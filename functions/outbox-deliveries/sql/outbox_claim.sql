-- Hands out messages that are due, to one caller each, for as long as the lease
-- lasts: whoever took one and fell silent loses it to the next. Sent twice it
-- may hand out twice as many, and those of the lost answer wait for the lease.
CREATE OR REPLACE FUNCTION outbox_claim(p_digest bytea, p_limit integer, p_lease_secs integer) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'outbox:deliver');
    v_messages json;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    WITH due AS MATERIALIZED (
        SELECT organization_id, id FROM outbox_messages
         WHERE settled_at IS NULL AND next_attempt_at <= now()
         ORDER BY next_attempt_at LIMIT p_limit FOR UPDATE SKIP LOCKED
    ), claimed AS (
        UPDATE outbox_messages m
           SET attempts = m.attempts + 1, next_attempt_at = now() + make_interval(secs => p_lease_secs)
          FROM due WHERE m.organization_id = due.organization_id AND m.id = due.id
        RETURNING m.*
    )
    SELECT coalesce(json_agg(json_build_object(
               'organization_id', prefixed_id('org_', c.organization_id), 'id', prefixed_id('msg_', c.id),
               'kind', c.kind, 'to', c.recipient, 'token', c.token, 'detail', c.detail) ORDER BY c.id), '[]'::json)
      INTO v_messages FROM claimed c;
    RETURN v_messages;
END;
$$;
