-- What the rest of sign-in stands on: mail, the deployment's own secret, a
-- bound on hashing, and what a sensitive change asks for.

-- A session outlives a membership that ended, as a record: authenticate() asks
-- for both, so such a session opens nothing.
ALTER TABLE sessions DROP CONSTRAINT sessions_organization_id_user_id_fkey;

INSERT INTO permissions (name, description, is_platform) VALUES
    ('users:manage',        'See any user, disable and enable them', true),
    ('signing_keys:manage', 'See and rotate the keys that sign JWTs', true),
    ('outbox:deliver',      'Send the mail that is waiting', true);
UPDATE roles SET permissions = permissions || ARRAY['users:manage', 'signing_keys:manage', 'outbox:deliver']
 WHERE organization_id IS NULL AND name = 'platform_admin';

-- How recently a user must have proved who they are before a sensitive change.
CREATE FUNCTION recent_login_interval() RETURNS interval
LANGUAGE sql IMMUTABLE RETURN interval '10 minutes';

-- What a caller is told who may not make a sensitive change, or null to go on:
-- only a person may, and only soon after a login or a second factor.
CREATE FUNCTION recent_login_refusal(p_principal principal) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_refusal json := session_refusal(p_principal);
BEGIN
    IF v_refusal IS NULL AND NOT EXISTS (
        SELECT 1 FROM sessions
         WHERE id = p_principal.session_id AND authenticated_at > now() - recent_login_interval()) THEN
        v_refusal := json_build_object('outcome', 'recent_login_required');
    END IF;
    RETURN v_refusal;
END;
$$;

-- ---------------------------------------------------------------------------
-- The secret that keys are derived from when the variable master_secret is not
-- set: drawn once, and as safe as the database is.
-- ---------------------------------------------------------------------------

CREATE TABLE deployment_secrets (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    secret  bytea NOT NULL CHECK (octet_length(secret) = 32)
);

-- The secret that is kept, which is the first that was offered.
CREATE FUNCTION deployment_secret(p_offered bytea) RETURNS bytea
LANGUAGE plpgsql AS $$
DECLARE
    v_secret bytea;
BEGIN
    SELECT secret INTO v_secret FROM deployment_secrets;
    IF NOT FOUND THEN
        INSERT INTO deployment_secrets (secret) VALUES (p_offered) ON CONFLICT DO NOTHING;
        SELECT secret INTO v_secret FROM deployment_secrets;
    END IF;
    RETURN v_secret;
END;
$$;

-- ---------------------------------------------------------------------------
-- A bound on how many passwords one host hashes at once. Instances share no
-- memory, so the bound is kept here, as leases: one that its holder does not
-- give back runs out. Not logged, because after a crash nobody is hashing.
-- ---------------------------------------------------------------------------

CREATE UNLOGGED TABLE hash_leases (
    id         uuid PRIMARY KEY,
    host_id    text NOT NULL,
    expires_at timestamptz NOT NULL
);

-- Serves the count of one host's leases.
CREATE INDEX hash_leases_by_host ON hash_leases (host_id, expires_at);

-- Takes a lease, unless the host has as many as it may. Callers that ask at the
-- same moment queue on the lock for the length of one transaction, so that the
-- bound is exact.
CREATE FUNCTION hash_lease_take(p_id uuid, p_host_id text, p_max integer) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('hash_leases'), hashtext(p_host_id));
    -- The clock, not the transaction's start, which was before the lock.
    DELETE FROM hash_leases WHERE host_id = p_host_id AND expires_at <= clock_timestamp();
    IF (SELECT count(*) FROM hash_leases WHERE host_id = p_host_id AND id <> p_id) >= p_max THEN
        RETURN false;
    END IF;
    INSERT INTO hash_leases (id, host_id, expires_at)
    -- Ten seconds: several times what a host with a full queue needs for a hash.
    VALUES (p_id, p_host_id, clock_timestamp() + interval '10 seconds')
    ON CONFLICT (id) DO NOTHING;
    RETURN true;
END;
$$;

-- Gives a lease back; one that has run out is given back already.
CREATE FUNCTION hash_lease_release(p_id uuid) RETURNS void
LANGUAGE sql AS $$ DELETE FROM hash_leases WHERE id = p_id $$;

-- ---------------------------------------------------------------------------
-- Mail. A message is written in the transaction that is its reason, and sent
-- afterwards, at least once. Its secret is wiped when it was sent.
-- ---------------------------------------------------------------------------

CREATE TABLE outbox_messages (
    id              uuid PRIMARY KEY,
    -- Which text it is; shared::mail has them all.
    kind            text NOT NULL,
    -- Empty for a message to nobody: it is written so that a known and an
    -- unknown email cost the same, and is never sent.
    recipient       text NOT NULL,
    -- The token in the link, if the message has one.
    token           text,
    detail          jsonb NOT NULL DEFAULT '{}',
    created_at      timestamptz NOT NULL DEFAULT now(),
    attempts        integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    last_error      text,
    -- When it was sent, given up or discarded; null while it waits.
    settled_at      timestamptz,
    is_sent         boolean NOT NULL DEFAULT false
);

-- Serves the sender: what is due, oldest first.
CREATE INDEX outbox_messages_due ON outbox_messages (next_attempt_at) WHERE settled_at IS NULL;

-- Writes a message. Safe to send twice: the id is the caller's.
CREATE FUNCTION outbox_add(
    p_id uuid, p_kind text, p_recipient text, p_token text, p_detail jsonb DEFAULT '{}'
) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO outbox_messages (id, kind, recipient, token, detail, settled_at)
    VALUES (p_id, p_kind, p_recipient, p_token, p_detail, CASE WHEN p_recipient = '' THEN now() END)
    ON CONFLICT DO NOTHING
$$;
