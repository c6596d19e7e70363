-- The audit log: append-only, and a chain of hashes for each organization. What somebody does
-- who belongs to none is in the chain of no_organization(), so there is no foreign key to
-- organizations.

-- The newest link of each chain. Locking its row gives the events of one organization an
-- order. Two organizations never wait for each other.
CREATE TABLE audit_heads (
    organization_id uuid PRIMARY KEY,
    sequence        bigint NOT NULL,
    hash            bytea NOT NULL,
    -- The time of the newest event.
    occurred_at     timestamptz NOT NULL DEFAULT '-infinity'
);

-- Times follow the sequence. So a bound in time is one in sequence, and finding it reads
-- one row of an index.
CREATE TABLE audit_events (
    organization_id uuid NOT NULL,
    sequence        bigint NOT NULL,
    occurred_at     timestamptz NOT NULL,
    event_type      text NOT NULL,
    -- Who did it; null when nobody had signed in yet.
    actor_id        uuid,
    -- With which session or API key; both null when nobody had signed in yet.
    session_id      uuid,
    api_key_id      uuid,
    -- Where the request came from; null for what a request did not ask for.
    address         text,
    -- Whom or what it was done to, as a prefixed id.
    subject         text NOT NULL,
    detail          jsonb NOT NULL,
    previous_hash   bytea NOT NULL,
    hash            bytea NOT NULL,
    -- Serves the list, newest first.
    PRIMARY KEY (organization_id, sequence)
);

-- Serves the list of one type, newest first.
CREATE INDEX audit_events_by_type ON audit_events (organization_id, event_type, sequence DESC);
-- Serves the bounds in time of a list.
CREATE INDEX audit_events_by_time ON audit_events (organization_id, occurred_at, sequence);

CREATE TRIGGER audit_events_append_only
    BEFORE UPDATE OR DELETE ON audit_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_events_no_truncate
    BEFORE TRUNCATE ON audit_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
