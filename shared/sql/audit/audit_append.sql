-- Appends an event to the chain of an organization; to the platform's own, which is that of
-- no_organization(), when there is none. A clock that was set back puts no
-- event before the last one.
--
-- Where the request came from, and with which session or API key, is what audit_asker() was told.
-- p_session_id is for a session that the statement itself opens.
CREATE OR REPLACE FUNCTION audit_append(
    p_organization_id uuid, p_event_type text, p_actor_id uuid, p_subject text,
    p_detail jsonb DEFAULT '{}', p_session_id uuid DEFAULT NULL
) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_event audit_events;
BEGIN
    p_organization_id := coalesce(p_organization_id, no_organization());
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
    v_event.session_id := coalesce(p_session_id, nullif(current_setting('turnpike.session_id', true), '')::uuid);
    v_event.api_key_id := nullif(current_setting('turnpike.api_key_id', true), '')::uuid;
    v_event.address := nullif(current_setting('turnpike.address', true), '');
    v_event.subject := p_subject;
    v_event.detail := p_detail;
    v_event.hash := audit_hash(v_event);
    INSERT INTO audit_events SELECT v_event.*;
    UPDATE audit_heads
       SET sequence = v_event.sequence, hash = v_event.hash, occurred_at = v_event.occurred_at
     WHERE organization_id = p_organization_id;
END;
$$;
