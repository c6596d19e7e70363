-- Sign-in beyond the first day: audit, refresh, lockout, API keys, roles.

-- ---------------------------------------------------------------------------
-- Audit log: append-only and hash-chained per organization.
-- ---------------------------------------------------------------------------

-- The newest link of each chain. Locking its row is what gives the events of
-- one organization an order; two organizations never wait for each other.
CREATE TABLE audit_heads (
    organization_id uuid PRIMARY KEY REFERENCES organizations (id),
    sequence        bigint NOT NULL,
    hash            bytea NOT NULL
);

CREATE TABLE audit_events (
    organization_id uuid NOT NULL REFERENCES organizations (id),
    sequence        bigint NOT NULL,
    occurred_at     timestamptz NOT NULL,
    event_type      text NOT NULL,
    -- Who did it; null when nobody had signed in yet.
    actor_id        uuid,
    -- Whom or what it was done to, as a prefixed id.
    subject         text NOT NULL,
    detail          jsonb NOT NULL,
    previous_hash   bytea NOT NULL,
    hash            bytea NOT NULL,
    -- Serves the list, newest first.
    PRIMARY KEY (organization_id, sequence)
);

-- Serves the list filtered by type, newest first.
CREATE INDEX audit_events_by_type ON audit_events (organization_id, event_type, sequence DESC);
-- Serves the list filtered by time.
CREATE INDEX audit_events_by_time ON audit_events (organization_id, occurred_at, sequence);

CREATE TRIGGER audit_events_append_only
    BEFORE UPDATE OR DELETE ON audit_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_events_no_truncate
    BEFORE TRUNCATE ON audit_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What a link's hash covers: every column, in one unambiguous JSON array.
CREATE FUNCTION audit_hash(p_event audit_events) RETURNS bytea
LANGUAGE sql STABLE PARALLEL SAFE
RETURN sha256((p_event).previous_hash || convert_to(jsonb_build_array(
    (p_event).organization_id, (p_event).sequence, rfc3339((p_event).occurred_at),
    (p_event).event_type, (p_event).actor_id, (p_event).subject, (p_event).detail)::text, 'UTF8'));

CREATE FUNCTION audit_append(
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
    SELECT sequence + 1, hash INTO v_event.sequence, v_event.previous_hash
      FROM audit_heads WHERE organization_id = p_organization_id FOR UPDATE;
    v_event.organization_id := p_organization_id;
    -- The clock, not the transaction's start: events are in the order of the lock.
    v_event.occurred_at := clock_timestamp();
    v_event.event_type := p_event_type;
    v_event.actor_id := p_actor_id;
    v_event.subject := p_subject;
    v_event.detail := p_detail;
    v_event.hash := audit_hash(v_event);
    INSERT INTO audit_events SELECT v_event.*;
    UPDATE audit_heads SET sequence = v_event.sequence, hash = v_event.hash
     WHERE organization_id = p_organization_id;
END;
$$;

-- The first broken link of each chain that has one.
CREATE FUNCTION audit_violations() RETURNS TABLE (organization_id uuid, sequence bigint, violation text)
LANGUAGE sql STABLE AS $$
    WITH links AS (
        SELECT e.organization_id, e.sequence,
               CASE
                   WHEN e.sequence <> coalesce(lag(e.sequence) OVER chain, 0) + 1 THEN 'an event is missing before this one'
                   WHEN e.previous_hash <> coalesce(lag(e.hash) OVER chain, '\x') THEN 'the link to the previous event is broken'
                   WHEN e.hash <> audit_hash(e) THEN 'the event was changed'
               END AS violation
          FROM audit_events e
        WINDOW chain AS (PARTITION BY e.organization_id ORDER BY e.sequence)
    ), ends AS (
        SELECT h.organization_id, h.sequence, 'the newest events are missing'
          FROM audit_heads h
         WHERE NOT EXISTS (SELECT 1 FROM audit_events e
                            WHERE e.organization_id = h.organization_id
                              AND e.sequence = h.sequence AND e.hash = h.hash)
           AND h.sequence > 0
    )
    SELECT DISTINCT ON (organization_id) organization_id, sequence, violation
      FROM (SELECT * FROM links WHERE violation IS NOT NULL UNION ALL SELECT * FROM ends) broken
     ORDER BY organization_id, sequence
$$;

-- ---------------------------------------------------------------------------
-- Roles and permissions.
-- ---------------------------------------------------------------------------

-- Every permission that exists, so that a role cannot be given a misspelt one.
CREATE TABLE permissions (
    name        text PRIMARY KEY,
    description text NOT NULL,
    -- Reaches across tenants, so only the platform's own roles may hold it.
    is_platform boolean NOT NULL DEFAULT false
);

INSERT INTO permissions (name, description, is_platform) VALUES
    ('credits:read',       'See one''s balance and transactions', false),
    ('credits:consume',    'Spend one''s credits', false),
    ('credits:grant',      'Give credits to any user', true),
    ('tokens:introspect',  'Ask what a token of the organization stands for', false),
    ('api_keys:manage',    'Create, rotate and revoke one''s API keys', false),
    ('organization:read',  'See the organization and its members', false),
    ('members:manage',     'Invite members, change their roles, remove them', false),
    ('roles:manage',       'Create and change the organization''s own roles', false),
    ('audit:read',         'Read the organization''s audit log', false);

-- Roles of one organization's own making stand beside the built-in ones, which
-- have no organization.
ALTER TABLE memberships DROP CONSTRAINT memberships_role_fkey;
ALTER TABLE users DROP CONSTRAINT users_platform_role_fkey;
ALTER TABLE roles DROP CONSTRAINT roles_pkey;
ALTER TABLE roles ADD COLUMN id uuid NOT NULL DEFAULT gen_random_uuid();
ALTER TABLE roles ADD COLUMN organization_id uuid REFERENCES organizations (id);
ALTER TABLE roles ADD COLUMN created_at timestamptz NOT NULL DEFAULT now();
ALTER TABLE roles ADD PRIMARY KEY (id);
ALTER TABLE roles ADD CONSTRAINT roles_by_name UNIQUE NULLS NOT DISTINCT (organization_id, name);

UPDATE roles SET permissions = ARRAY['credits:read', 'credits:consume', 'tokens:introspect', 'api_keys:manage',
                                     'organization:read', 'members:manage', 'roles:manage', 'audit:read']
 WHERE name = 'owner';
INSERT INTO roles (name, permissions) VALUES
    ('admin',  ARRAY['credits:read', 'credits:consume', 'tokens:introspect', 'api_keys:manage',
                     'organization:read', 'members:manage', 'audit:read']),
    ('member', ARRAY['credits:read', 'credits:consume', 'api_keys:manage', 'organization:read']);

-- The permissions of a role as an organization sees it: its own role of the
-- name, else the built-in one; an unknown role holds none.
CREATE FUNCTION role_permissions(p_organization_id uuid, p_role text) RETURNS text[]
LANGUAGE sql STABLE PARALLEL SAFE
RETURN coalesce(
    (SELECT permissions FROM roles WHERE organization_id = p_organization_id AND name = p_role),
    (SELECT permissions FROM roles WHERE organization_id IS NULL AND name = p_role),
    '{}');
-- ---------------------------------------------------------------------------
-- API keys: a user's own, for one organization, with part of their permissions.
-- ---------------------------------------------------------------------------

CREATE TABLE api_keys (
    id              uuid PRIMARY KEY,
    user_id         uuid NOT NULL REFERENCES users (id),
    organization_id uuid NOT NULL REFERENCES organizations (id),
    name            text NOT NULL,
    -- SHA-256 of the key; the key itself is shown once and never stored.
    digest          bytea NOT NULL UNIQUE CHECK (octet_length(digest) = 32),
    -- The digest before the last rotation, which works until it overlaps no more.
    previous_digest bytea UNIQUE CHECK (octet_length(previous_digest) = 32),
    previous_until  timestamptz,
    -- The first characters, by which a person recognises the key.
    hint            text NOT NULL,
    scopes          text[] NOT NULL,
    expires_at      timestamptz,
    last_used_at    timestamptz,
    revoked_at      timestamptz,
    created_at      timestamptz NOT NULL DEFAULT now()
);

-- Serves a user's list of keys, newest first.
CREATE INDEX api_keys_by_user ON api_keys (user_id, organization_id, created_at DESC);

-- How finely "last used" is kept. A key that is used a thousand times a second
-- still writes its row once a minute.
CREATE FUNCTION api_key_use_granularity() RETURNS interval
LANGUAGE sql IMMUTABLE RETURN interval '1 minute';

ALTER TABLE sessions ADD COLUMN last_used_at timestamptz NOT NULL DEFAULT now();
ALTER TABLE sessions ADD COLUMN user_agent text NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN address text NOT NULL DEFAULT '';
-- When the user last proved who they are; a sensitive change asks for it to be recent.
ALTER TABLE sessions ADD COLUMN authenticated_at timestamptz NOT NULL DEFAULT now();

ALTER TYPE principal ADD ATTRIBUTE api_key_id uuid;

-- A key without an end has no milliseconds either; a reader takes the largest
-- whole number that every JSON parser reads exactly (RFC 8259, section 6).
CREATE OR REPLACE FUNCTION unix_millis(p_time timestamptz) RETURNS bigint
LANGUAGE sql STABLE STRICT PARALLEL SAFE
RETURN CASE WHEN p_time < 'infinity' THEN floor(extract(epoch FROM p_time) * 1000)::bigint
            ELSE 9007199254740991 END;

-- The principal of an access token or an API key, or a null one for a
-- credential that is unknown, expired or revoked, and for a user who is
-- disabled or has left the organization. A key holds those of its scopes that
-- its user still has.
CREATE OR REPLACE FUNCTION authenticate(p_digest bytea) RETURNS principal
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    v_principal principal;
BEGIN
    SELECT s.user_id, s.organization_id, s.id, t.expires_at,
           role_permissions(s.organization_id, m.role) || CASE
               WHEN u.platform_role IS NULL THEN '{}'
               ELSE role_permissions(NULL, u.platform_role) END,
           NULL
      INTO v_principal
      FROM access_tokens t
      JOIN sessions s ON s.id = t.session_id
      JOIN users u ON u.id = s.user_id
      JOIN memberships m ON m.organization_id = s.organization_id AND m.user_id = s.user_id
     WHERE t.digest = p_digest
       AND t.expires_at > now()
       AND s.revoked_at IS NULL
       AND u.disabled_at IS NULL;
    IF FOUND THEN
        RETURN v_principal;
    END IF;
    SELECT k.user_id, k.organization_id, NULL::uuid,
           least(k.expires_at, CASE WHEN k.previous_digest = p_digest THEN k.previous_until END, 'infinity'),
           ARRAY(SELECT unnest(k.scopes) INTERSECT
                 SELECT unnest(role_permissions(k.organization_id, m.role) || CASE
                     WHEN u.platform_role IS NULL THEN '{}'
                     ELSE role_permissions(NULL, u.platform_role) END)),
           k.id
      INTO v_principal
      FROM api_keys k
      JOIN users u ON u.id = k.user_id
      JOIN memberships m ON m.organization_id = k.organization_id AND m.user_id = k.user_id
     WHERE (k.digest = p_digest OR (k.previous_digest = p_digest AND k.previous_until > now()))
       AND (k.expires_at IS NULL OR k.expires_at > now())
       AND k.revoked_at IS NULL
       AND u.disabled_at IS NULL;
    -- A request whose answer was cached does not come here, so the moment is
    -- exact to the minute, or to the cached answer's time to live.
    UPDATE api_keys SET last_used_at = now()
     WHERE id = v_principal.api_key_id
       AND (last_used_at IS NULL OR last_used_at < now() - api_key_use_granularity());
    RETURN v_principal;
END;
$$;

-- Whatever authenticates may note the use of a key, and so is volatile.
ALTER FUNCTION auth_me(bytea) VOLATILE;
ALTER FUNCTION credits_balance(bytea, text) VOLATILE;
ALTER FUNCTION credits_transactions(bytea, text, integer, bigint) VOLATILE;

-- ---------------------------------------------------------------------------
-- Refresh tokens. A session is a token family: a chain of refresh tokens, of
-- which only the last is unspent.
-- ---------------------------------------------------------------------------

CREATE TABLE refresh_tokens (
    digest     bytea PRIMARY KEY CHECK (octet_length(digest) = 32),
    session_id uuid NOT NULL REFERENCES sessions (id),
    expires_at timestamptz NOT NULL,
    -- The digest of the token that replaced it; null while it is unspent.
    successor  bytea
);

CREATE INDEX refresh_tokens_by_session ON refresh_tokens (session_id);

-- Ends a session and everything that was issued in it.
CREATE FUNCTION session_revoke(p_session_id uuid) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE sessions SET revoked_at = now() WHERE id = p_session_id AND revoked_at IS NULL;
    RETURN FOUND;
END;
$$;

-- Spends a refresh token for a new pair. The row lock makes N parallel uses
-- queue; the first wins and every other one finds the token spent, which is
-- reuse, and ends the session. The same caller sending the same statement again
-- is not reuse: it offers the successor that is already there.
CREATE FUNCTION auth_refresh(
    p_digest bytea, p_access_digest bytea, p_refresh_digest bytea,
    p_access_ttl_secs integer, p_refresh_ttl_secs integer
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_token refresh_tokens;
    v_session sessions;
BEGIN
    SELECT * INTO v_token FROM refresh_tokens WHERE digest = p_digest FOR UPDATE;
    IF NOT FOUND THEN
        RETURN json_build_object('outcome', 'refused');
    END IF;
    SELECT * INTO v_session FROM sessions WHERE id = v_token.session_id FOR NO KEY UPDATE;
    IF v_token.successor IS NOT NULL AND v_token.successor <> p_refresh_digest THEN
        IF session_revoke(v_session.id) THEN
            PERFORM audit_append(v_session.organization_id, 'session.refresh_reused', v_session.user_id,
                                 prefixed_id('ses_', v_session.id));
        END IF;
        RETURN json_build_object('outcome', 'reused');
    END IF;
    IF v_session.revoked_at IS NOT NULL OR v_token.expires_at <= now()
       OR NOT EXISTS (SELECT 1 FROM users WHERE id = v_session.user_id AND disabled_at IS NULL) THEN
        RETURN json_build_object('outcome', 'refused');
    END IF;
    UPDATE refresh_tokens SET successor = p_refresh_digest WHERE digest = p_digest;
    INSERT INTO refresh_tokens (digest, session_id, expires_at)
    VALUES (p_refresh_digest, v_session.id, now() + make_interval(secs => p_refresh_ttl_secs))
    ON CONFLICT DO NOTHING;
    -- The access token that came with the spent one dies with it.
    DELETE FROM access_tokens WHERE session_id = v_session.id AND digest <> p_access_digest;
    INSERT INTO access_tokens (digest, session_id, expires_at)
    VALUES (p_access_digest, v_session.id, now() + make_interval(secs => p_access_ttl_secs))
    ON CONFLICT DO NOTHING;
    UPDATE sessions SET last_used_at = now() WHERE id = v_session.id;
    RETURN json_build_object(
        'outcome', 'refreshed',
        'session_id', prefixed_id('ses_', v_session.id),
        'user_id', prefixed_id('usr_', v_session.user_id),
        'organization_id', prefixed_id('org_', v_session.organization_id),
        'expires_at', rfc3339(now() + make_interval(secs => p_access_ttl_secs)));
END;
$$;

-- ---------------------------------------------------------------------------
-- Login attempts, by account and by address.
-- ---------------------------------------------------------------------------

CREATE TABLE login_attempts (
    -- 'account:' and the email, known or not, or 'address:' and the client's.
    subject      text PRIMARY KEY,
    failures     integer NOT NULL,
    last_failed  timestamptz NOT NULL,
    locked_until timestamptz
);

-- How long a subject is locked out after its n-th failure in a row: not at all
-- up to p_free, then 1, 2, 4 ... seconds, at most 900.
CREATE FUNCTION login_delay(p_failures integer, p_free integer) RETURNS interval
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN p_failures > p_free
            THEN make_interval(secs => least(900, 2 ^ least(p_failures - p_free - 1, 10)))
            ELSE interval '0' END;

-- How long the account or the address is locked out; null when neither is. An
-- unknown email is locked out exactly as a known one.
CREATE FUNCTION login_wait(p_email text, p_address text) RETURNS interval
LANGUAGE sql STABLE AS $$
    SELECT max(locked_until) - now() FROM login_attempts
     WHERE subject IN ('account:' || p_email, 'address:' || p_address) AND locked_until > now()
$$;

-- Counts a failure against the account and the address. Failures older than an
-- hour are forgotten. Guesses that were under way together all pass before the
-- first of them is counted; how many those can be is bounded by how many
-- hashes the hosts compute at once. Counting them beforehand would lock out
-- whoever signs in from many places at the same moment.
CREATE FUNCTION auth_login_failed(
    p_email text, p_address text, p_account_free integer, p_address_free integer
) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO login_attempts AS a (subject, failures, last_failed, locked_until)
    SELECT subject, 1, now(), now() + login_delay(1, free)
      FROM (VALUES ('account:' || p_email, p_account_free), ('address:' || p_address, p_address_free)) t (subject, free)
     ORDER BY subject
    ON CONFLICT (subject) DO UPDATE
       SET failures = CASE WHEN a.last_failed < now() - interval '1 hour' THEN 1 ELSE a.failures + 1 END,
           last_failed = now(),
           locked_until = now() + login_delay(
               CASE WHEN a.last_failed < now() - interval '1 hour' THEN 1 ELSE a.failures + 1 END,
               CASE WHEN a.subject LIKE 'account:%' THEN p_account_free ELSE p_address_free END)
$$;

-- What a login needs to go on: the hash to verify, or how long to wait.
CREATE FUNCTION auth_login_begin(p_email text, p_address text) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_wait interval := login_wait(p_email, p_address);
    v_user users;
BEGIN
    IF v_wait IS NOT NULL THEN
        RETURN json_build_object('outcome', 'locked', 'retry_after_secs', ceil(extract(epoch FROM v_wait))::integer);
    END IF;
    SELECT * INTO v_user FROM users WHERE email = p_email AND disabled_at IS NULL;
    RETURN json_build_object(
        'outcome', 'proceed',
        'user_id', prefixed_id('usr_', v_user.id),
        'password_hash', v_user.password_hash);
END;
$$;

-- Opens a session in the user's oldest organization, unless the user was
-- disabled, or the password changed, after the caller read the hash that it
-- verified. A hash made with other parameters is replaced by the caller's new one.
DROP FUNCTION auth_login(uuid, text, uuid, bytea, integer);
CREATE FUNCTION auth_login(
    p_user_id uuid, p_verified_hash text, p_new_hash text, p_session_id uuid,
    p_access_digest bytea, p_refresh_digest bytea, p_access_ttl_secs integer, p_refresh_ttl_secs integer,
    p_user_agent text, p_address text
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_email text;
    v_organization_id uuid;
    v_expires_at timestamptz := now() + make_interval(secs => p_access_ttl_secs);
BEGIN
    SELECT email INTO v_email FROM users
     WHERE id = p_user_id AND password_hash = p_verified_hash AND disabled_at IS NULL
       FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN json_build_object('outcome', 'refused');
    END IF;
    SELECT organization_id INTO v_organization_id FROM memberships
     WHERE user_id = p_user_id ORDER BY created_at LIMIT 1;
    IF NOT FOUND THEN
        RETURN json_build_object('outcome', 'refused');
    END IF;
    IF p_new_hash <> p_verified_hash THEN
        UPDATE users SET password_hash = p_new_hash WHERE id = p_user_id;
    END IF;
    DELETE FROM login_attempts WHERE subject = 'account:' || v_email;
    INSERT INTO sessions (id, user_id, organization_id, user_agent, address)
    VALUES (p_session_id, p_user_id, v_organization_id, p_user_agent, p_address)
    ON CONFLICT DO NOTHING;
    IF FOUND THEN
        INSERT INTO access_tokens (digest, session_id, expires_at)
        VALUES (p_access_digest, p_session_id, v_expires_at);
        INSERT INTO refresh_tokens (digest, session_id, expires_at)
        VALUES (p_refresh_digest, p_session_id, now() + make_interval(secs => p_refresh_ttl_secs));
        PERFORM audit_append(v_organization_id, 'session.opened', p_user_id, prefixed_id('ses_', p_session_id),
                             jsonb_build_object('address', p_address, 'user_agent', p_user_agent));
    END IF;
    RETURN json_build_object(
        'outcome', 'opened',
        'session_id', prefixed_id('ses_', p_session_id),
        'user_id', prefixed_id('usr_', p_user_id),
        'organization_id', prefixed_id('org_', v_organization_id),
        'expires_at', rfc3339(v_expires_at));
END;
$$;

CREATE OR REPLACE FUNCTION auth_logout(p_digest bytea) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
BEGIN
    -- An API key opened no session, and so has none to end.
    IF v_principal.session_id IS NULL OR NOT session_revoke(v_principal.session_id) THEN
        RETURN json_build_object('outcome', 'unauthenticated');
    END IF;
    PERFORM audit_append(v_principal.organization_id, 'session.ended', v_principal.user_id,
                         prefixed_id('ses_', v_principal.session_id));
    RETURN json_build_object('outcome', 'ended');
END;
$$;

-- What a token of the caller's organization stands for (RFC 7662). Unknown,
-- expired, revoked and foreign tokens are all just not active.
CREATE FUNCTION auth_introspect(p_caller bytea, p_subject bytea) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_caller principal := authenticate(p_caller);
    v_refusal json := refusal(v_caller, 'tokens:introspect');
    v_subject principal;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    v_subject := authenticate(p_subject);
    RETURN json_build_object(
        'outcome', 'answered',
        'caller_organization_id', prefixed_id('org_', v_caller.organization_id),
        'caller_expires_millis', CASE WHEN v_caller.expires_at < 'infinity' THEN unix_millis(v_caller.expires_at) END,
        'subject', CASE WHEN v_subject.user_id IS NOT NULL THEN json_build_object(
            'organization_id', prefixed_id('org_', v_subject.organization_id),
            'user_id', prefixed_id('usr_', v_subject.user_id),
            'session_id', prefixed_id('ses_', v_subject.session_id),
            'api_key_id', prefixed_id('key_', v_subject.api_key_id),
            'expires_millis', CASE WHEN v_subject.expires_at < 'infinity' THEN unix_millis(v_subject.expires_at) END,
            'permissions', (SELECT coalesce(json_agg(DISTINCT p ORDER BY p), '[]'::json) FROM unnest(v_subject.permissions) p)
        ) END);
END;
$$;

-- What a caller is told where only a person who signed in may act, and a
-- program with an API key may not; or null to go on.
CREATE FUNCTION session_refusal(p_principal principal) RETURNS json
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN (p_principal).user_id IS NULL THEN '{"outcome":"unauthenticated"}'::json
    WHEN (p_principal).session_id IS NULL THEN '{"outcome":"session_required"}'::json
END;

-- The live sessions of the token's user, newest first.
CREATE FUNCTION auth_sessions(p_digest bytea, p_limit integer) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := session_refusal(v_principal);
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    RETURN json_build_object('outcome', 'found', 'sessions', (
        SELECT coalesce(json_agg(json_build_object(
                   'id', prefixed_id('ses_', s.id),
                   'organization_id', prefixed_id('org_', s.organization_id),
                   'created_at', rfc3339(s.created_at),
                   'last_used_at', rfc3339(s.last_used_at),
                   'address', s.address,
                   'user_agent', s.user_agent,
                   'is_current', s.id IS NOT DISTINCT FROM v_principal.session_id) ORDER BY s.created_at DESC), '[]'::json)
          FROM (SELECT * FROM sessions
                 WHERE user_id = v_principal.user_id AND revoked_at IS NULL
                   AND EXISTS (SELECT 1 FROM refresh_tokens t
                                WHERE t.session_id = sessions.id AND t.successor IS NULL AND t.expires_at > now())
                 ORDER BY created_at DESC LIMIT p_limit) s));
END;
$$;

-- Ends one session of the token's user, or, without one named, all but the
-- token's own. Another user's session is not found.
CREATE FUNCTION auth_sessions_revoke(p_digest bytea, p_session_id uuid) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := session_refusal(v_principal);
    v_revoked bigint;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    WITH revoked AS (
        UPDATE sessions SET revoked_at = now()
         WHERE user_id = v_principal.user_id AND revoked_at IS NULL
           AND CASE WHEN p_session_id IS NULL THEN id IS DISTINCT FROM v_principal.session_id
                    ELSE id = p_session_id END
        RETURNING id)
    SELECT count(*) INTO v_revoked FROM revoked;
    -- One that has ended already is as revoked as the caller wants it.
    IF v_revoked = 0 AND p_session_id IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM sessions WHERE id = p_session_id AND user_id = v_principal.user_id) THEN
        RETURN json_build_object('outcome', 'not_found');
    END IF;
    IF v_revoked > 0 THEN
        PERFORM audit_append(v_principal.organization_id, 'session.revoked', v_principal.user_id,
                             coalesce(prefixed_id('ses_', p_session_id), prefixed_id('usr_', v_principal.user_id)),
                             jsonb_build_object('sessions', v_revoked));
    END IF;
    RETURN json_build_object('outcome', 'revoked', 'count', v_revoked);
END;
$$;

-- The hash that a password change must verify first.
CREATE FUNCTION auth_password_begin(p_digest bytea, p_address text) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := session_refusal(v_principal);
    v_user users;
    v_wait interval;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    SELECT * INTO v_user FROM users WHERE id = v_principal.user_id;
    -- Guessing here is guessing at the login, and counts as that.
    v_wait := login_wait(v_user.email, p_address);
    IF v_wait IS NOT NULL THEN
        RETURN json_build_object('outcome', 'locked', 'retry_after_secs', ceil(extract(epoch FROM v_wait))::integer);
    END IF;
    RETURN json_build_object('outcome', 'proceed', 'email', v_user.email, 'password_hash', v_user.password_hash);
END;
$$;

-- Replaces the password that was verified, and ends every other session.
CREATE FUNCTION auth_password_change(p_digest bytea, p_verified_hash text, p_new_hash text) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := session_refusal(v_principal);
    v_user users;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    SELECT * INTO v_user FROM users WHERE id = v_principal.user_id FOR NO KEY UPDATE;
    -- Sent twice, it was changed by the first.
    IF v_user.password_hash = p_new_hash THEN
        RETURN json_build_object('outcome', 'changed');
    END IF;
    IF v_user.password_hash <> p_verified_hash THEN
        RETURN json_build_object('outcome', 'wrong_password');
    END IF;
    UPDATE users SET password_hash = p_new_hash WHERE id = v_user.id;
    DELETE FROM login_attempts WHERE subject = 'account:' || v_user.email;
    UPDATE sessions SET revoked_at = now()
     WHERE user_id = v_principal.user_id AND revoked_at IS NULL AND id <> v_principal.session_id;
    PERFORM audit_append(v_principal.organization_id, 'password.changed', v_principal.user_id,
                         prefixed_id('usr_', v_principal.user_id));
    RETURN json_build_object('outcome', 'changed');
END;
$$;

-- API keys.
CREATE FUNCTION api_key_json(p_key api_keys) RETURNS json
LANGUAGE sql STABLE PARALLEL SAFE
RETURN json_build_object(
    'id', prefixed_id('key_', (p_key).id), 'name', (p_key).name, 'hint', (p_key).hint,
    'scopes', (p_key).scopes, 'expires_at', rfc3339((p_key).expires_at),
    'last_used_at', rfc3339((p_key).last_used_at), 'created_at', rfc3339((p_key).created_at));

CREATE FUNCTION auth_api_keys(p_digest bytea, p_limit integer) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'api_keys:manage');
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    RETURN json_build_object('outcome', 'found', 'api_keys', (
        SELECT coalesce(json_agg(api_key_json(k) ORDER BY k.created_at DESC), '[]'::json)
          FROM (SELECT * FROM api_keys
                 WHERE user_id = v_principal.user_id AND organization_id = v_principal.organization_id
                   AND revoked_at IS NULL
                 ORDER BY created_at DESC LIMIT p_limit) k));
END;
$$;

CREATE FUNCTION auth_api_key_create(
    p_digest bytea, p_id uuid, p_name text, p_key_digest bytea, p_hint text, p_scopes text[], p_ttl_secs integer
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'api_keys:manage');
    v_key api_keys;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    -- A key is made with what its maker has, and never with more.
    IF NOT p_scopes <@ v_principal.permissions THEN
        RETURN json_build_object('outcome', 'scope_exceeded');
    END IF;
    INSERT INTO api_keys (id, user_id, organization_id, name, digest, hint, scopes, expires_at)
    VALUES (p_id, v_principal.user_id, v_principal.organization_id, p_name, p_key_digest, p_hint, p_scopes,
            -- A key that makes a key does not outlive itself in it. LEAST passes over null.
            least(now() + make_interval(secs => p_ttl_secs),
                  CASE WHEN v_principal.api_key_id IS NOT NULL THEN nullif(v_principal.expires_at, 'infinity') END))
    ON CONFLICT (id) DO NOTHING;
    IF FOUND THEN
        PERFORM audit_append(v_principal.organization_id, 'api_key.created', v_principal.user_id,
                             prefixed_id('key_', p_id), jsonb_build_object('name', p_name, 'scopes', p_scopes));
    END IF;
    SELECT * INTO v_key FROM api_keys WHERE id = p_id;
    RETURN json_build_object('outcome', 'created', 'api_key', api_key_json(v_key));
END;
$$;

CREATE FUNCTION auth_api_key_revoke(p_digest bytea, p_id uuid) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'api_keys:manage');
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    UPDATE api_keys SET revoked_at = now()
     WHERE id = p_id AND user_id = v_principal.user_id
       AND organization_id = v_principal.organization_id AND revoked_at IS NULL;
    IF FOUND THEN
        PERFORM audit_append(v_principal.organization_id, 'api_key.revoked', v_principal.user_id, prefixed_id('key_', p_id));
    -- One that was revoked before is as revoked as the caller wants it.
    ELSIF NOT EXISTS (SELECT 1 FROM api_keys
                       WHERE id = p_id AND user_id = v_principal.user_id
                         AND organization_id = v_principal.organization_id) THEN
        RETURN json_build_object('outcome', 'not_found');
    END IF;
    RETURN json_build_object('outcome', 'revoked');
END;
$$;

-- Gives a key a new secret; the old one works on for the overlap.
CREATE FUNCTION auth_api_key_rotate(
    p_digest bytea, p_id uuid, p_key_digest bytea, p_hint text, p_overlap_secs integer
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'api_keys:manage');
    v_key api_keys;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    SELECT * INTO v_key FROM api_keys
     WHERE id = p_id AND user_id = v_principal.user_id
       AND organization_id = v_principal.organization_id AND revoked_at IS NULL
       FOR UPDATE;
    IF NOT FOUND THEN
        RETURN json_build_object('outcome', 'not_found');
    END IF;
    -- Whoever rotates a key holds its new secret, so a key must not rotate one
    -- that may do more than itself.
    IF v_principal.api_key_id IS NOT NULL AND NOT v_key.scopes <@ v_principal.permissions THEN
        RETURN json_build_object('outcome', 'scope_exceeded');
    END IF;
    IF v_key.digest <> p_key_digest THEN
        UPDATE api_keys
           SET digest = p_key_digest, previous_digest = v_key.digest,
               previous_until = now() + make_interval(secs => p_overlap_secs), hint = p_hint
         WHERE id = p_id
        RETURNING * INTO v_key;
        PERFORM audit_append(v_principal.organization_id, 'api_key.rotated', v_principal.user_id, prefixed_id('key_', p_id));
    END IF;
    RETURN json_build_object('outcome', 'rotated', 'api_key', api_key_json(v_key));
END;
$$;

-- The audit log of the token's organization, newest first.
CREATE FUNCTION audit_log(
    p_digest bytea, p_event_type text, p_since timestamptz, p_until timestamptz, p_limit integer, p_before bigint
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'audit:read');
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    RETURN json_build_object('outcome', 'found', 'events', (
        SELECT coalesce(json_agg(json_build_object(
                   'sequence', e.sequence, 'occurred_at', rfc3339(e.occurred_at), 'event_type', e.event_type,
                   'actor_id', prefixed_id('usr_', e.actor_id), 'subject', e.subject, 'detail', e.detail,
                   'hash', encode(e.hash, 'hex'), 'previous_hash', encode(e.previous_hash, 'hex'))
                   ORDER BY e.sequence DESC), '[]'::json)
          FROM (SELECT * FROM audit_events
                 WHERE organization_id = v_principal.organization_id AND sequence < p_before
                   AND (p_event_type IS NULL OR event_type = p_event_type)
                   AND (p_since IS NULL OR occurred_at >= p_since)
                   AND (p_until IS NULL OR occurred_at < p_until)
                 ORDER BY sequence DESC LIMIT p_limit + 1) e));
END;
$$;

-- As before, and on the record.
CREATE OR REPLACE FUNCTION auth_signup(
    p_user_id uuid, p_organization_id uuid, p_email text, p_password_hash text
) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO users (id, email, password_hash) VALUES (p_user_id, p_email, p_password_hash)
    ON CONFLICT DO NOTHING;
    IF FOUND THEN
        INSERT INTO organizations (id, name) VALUES (p_organization_id, p_email);
        INSERT INTO memberships (organization_id, user_id, role)
        VALUES (p_organization_id, p_user_id, 'owner');
        PERFORM audit_append(p_organization_id, 'user.registered', p_user_id, prefixed_id('usr_', p_user_id));
    END IF;
END;
$$;
