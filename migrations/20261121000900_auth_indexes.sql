-- What the queries of every request need so that none of them reads more than
-- it returns, however much there is. tests/api/explain.rs holds them to it.

-- ---------------------------------------------------------------------------
-- Sessions.
-- ---------------------------------------------------------------------------

-- Serves the list of sessions, which asks of each whether it can still be
-- refreshed. A session that is refreshed every 15 minutes for a month has 2,880
-- spent tokens and one that is not; only that one is in this index.
CREATE INDEX refresh_tokens_unspent_by_session ON refresh_tokens (session_id) WHERE successor IS NULL;
-- Served the same, with the spent ones, and nothing else.
DROP INDEX refresh_tokens_by_session;

-- ---------------------------------------------------------------------------
-- Transactions.
-- ---------------------------------------------------------------------------

-- As before, in two steps. Joined to its account, a page was the end of a sort
-- of all the account's transfers, because a planner cannot know that one
-- account keeps the order of one index.
CREATE OR REPLACE FUNCTION credits_transactions(
    p_digest bytea, p_currency text, p_limit integer, p_before bigint
) RETURNS json
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'credits:read');
    v_account_id uuid;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    SELECT id INTO v_account_id FROM credit_accounts
     WHERE user_id = v_principal.user_id AND currency = p_currency;
    RETURN json_build_object('outcome', 'found', 'rows', (
        SELECT coalesce(json_agg(json_build_object(
                   'sequence', page.sequence, 'transaction', transfer_json(page, p_currency))
                   ORDER BY page.sequence DESC), '[]'::json)
          FROM (SELECT * FROM ledger_transfers
                 WHERE account_id = v_account_id AND sequence < p_before
                 ORDER BY sequence DESC
                 LIMIT p_limit + 1) page));
END;
$$;

-- ---------------------------------------------------------------------------
-- Audit log. Its list is in the order of the sequence and can be bounded by
-- time. Where times follow the sequence, a bound in time is one in sequence,
-- and finding it reads one row of an index.
-- ---------------------------------------------------------------------------

-- The time of the newest event.
ALTER TABLE audit_heads ADD COLUMN occurred_at timestamptz NOT NULL DEFAULT '-infinity';
UPDATE audit_heads h SET occurred_at = e.occurred_at
  FROM audit_events e
 WHERE e.organization_id = h.organization_id AND e.sequence = h.sequence;

-- As before, and a clock that was set back takes no event before the last one.
CREATE OR REPLACE FUNCTION audit_append(
    p_organization_id uuid, p_event_type text, p_actor_id uuid, p_subject text,
    p_detail jsonb DEFAULT '{}'
) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_event audit_events;
BEGIN
    INSERT INTO audit_heads (organization_id, sequence, hash)
    VALUES (p_organization_id, 0, '\x')
    ON CONFLICT DO NOTHING;
    SELECT sequence + 1, hash, occurred_at
      INTO v_event.sequence, v_event.previous_hash, v_event.occurred_at
      FROM audit_heads WHERE organization_id = p_organization_id FOR UPDATE;
    -- The clock, not the transaction's start: events are in the order of the lock.
    v_event.occurred_at := greatest(clock_timestamp(), v_event.occurred_at);
    v_event.organization_id := p_organization_id;
    v_event.event_type := p_event_type;
    v_event.actor_id := p_actor_id;
    v_event.subject := p_subject;
    v_event.detail := p_detail;
    v_event.hash := audit_hash(v_event);
    INSERT INTO audit_events SELECT v_event.*;
    UPDATE audit_heads
       SET sequence = v_event.sequence, hash = v_event.hash, occurred_at = v_event.occurred_at
     WHERE organization_id = p_organization_id;
END;
$$;

-- An event as the API shows it.
CREATE FUNCTION audit_event_json(p_event audit_events) RETURNS json
LANGUAGE sql STABLE PARALLEL SAFE
RETURN json_build_object(
    'sequence', (p_event).sequence, 'occurred_at', rfc3339((p_event).occurred_at),
    'event_type', (p_event).event_type, 'actor_id', prefixed_id('usr_', (p_event).actor_id),
    'subject', (p_event).subject, 'detail', (p_event).detail,
    'hash', encode((p_event).hash, 'hex'), 'previous_hash', encode((p_event).previous_hash, 'hex'));

-- As before, with a statement for each index.
CREATE OR REPLACE FUNCTION audit_log(
    p_digest bytea, p_event_type text, p_since timestamptz, p_until timestamptz, p_limit integer, p_before bigint
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'audit:read');
    v_from bigint := 0;
    v_before bigint := p_before;
    v_events json;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    IF p_since IS NOT NULL THEN
        SELECT sequence INTO v_from FROM audit_events
         WHERE organization_id = v_principal.organization_id AND occurred_at >= p_since
         ORDER BY occurred_at, sequence LIMIT 1;
    END IF;
    IF p_until IS NOT NULL THEN
        SELECT least(p_before, sequence) INTO v_before FROM audit_events
         WHERE organization_id = v_principal.organization_id AND occurred_at >= p_until
         ORDER BY occurred_at, sequence LIMIT 1;
        v_before := coalesce(v_before, p_before);
    END IF;
    -- Nothing since then leaves v_from null, and the list empty.
    IF p_event_type IS NULL THEN
        SELECT json_agg(audit_event_json(e) ORDER BY e.sequence DESC) INTO v_events
          FROM (SELECT * FROM audit_events
                 WHERE organization_id = v_principal.organization_id
                   AND sequence >= v_from AND sequence < v_before
                 ORDER BY sequence DESC LIMIT p_limit + 1) e;
    ELSE
        SELECT json_agg(audit_event_json(e) ORDER BY e.sequence DESC) INTO v_events
          FROM (SELECT * FROM audit_events
                 WHERE organization_id = v_principal.organization_id AND event_type = p_event_type
                   AND sequence >= v_from AND sequence < v_before
                 ORDER BY sequence DESC LIMIT p_limit + 1) e;
    END IF;
    RETURN json_build_object('outcome', 'found', 'events', coalesce(v_events, '[]'::json));
END;
$$;
