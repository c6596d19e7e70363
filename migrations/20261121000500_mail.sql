-- Mail: tokens that prove an email, how much mail anyone may cause, and the
-- sender's side of the outbox.

-- When the user proved that mail to their email reaches them; null until then.
ALTER TABLE users ADD COLUMN email_verified_at timestamptz;

-- ---------------------------------------------------------------------------
-- Tokens that are sent by mail, each good for one use.
-- ---------------------------------------------------------------------------

CREATE TABLE email_tokens (
    -- SHA-256 of the token.
    digest     bytea PRIMARY KEY CHECK (octet_length(digest) = 32),
    -- Null for a token to nobody: it is written so that a known and an unknown
    -- email cost the same. No foreign key, whose check only a known user would
    -- pay for.
    user_id    uuid,
    purpose    text NOT NULL CHECK (purpose IN ('verify_email', 'reset_password', 'change_email')),
    -- The email that the token proves, which is the new one for a change.
    email      text NOT NULL,
    expires_at timestamptz NOT NULL,
    -- When it was used, or replaced by a later one.
    spent_at   timestamptz,
    -- The request that used it, by which that request sent twice is known.
    spent_by   uuid,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- Serves "the unspent tokens of a user", which a later one replaces.
CREATE INDEX email_tokens_unspent ON email_tokens (user_id, purpose) WHERE spent_at IS NULL;
-- Serves the sweep of what has expired.
CREATE INDEX email_tokens_by_expiry ON email_tokens (expires_at);

-- Writes a token in place of the user's earlier ones of the same purpose.
CREATE FUNCTION email_token_add(
    p_digest bytea, p_user_id uuid, p_purpose text, p_email text, p_ttl_secs integer
) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE email_tokens SET spent_at = now()
     WHERE user_id = p_user_id AND purpose = p_purpose AND spent_at IS NULL AND digest <> p_digest;
    INSERT INTO email_tokens (digest, user_id, purpose, email, expires_at)
    VALUES (p_digest, p_user_id, p_purpose, p_email, now() + make_interval(secs => p_ttl_secs))
    ON CONFLICT DO NOTHING;
    -- Each new one sweeps up to ten that expired a day ago, so the table does
    -- not grow with time.
    DELETE FROM email_tokens WHERE digest IN (
        SELECT digest FROM email_tokens WHERE expires_at < now() - interval '1 day'
         ORDER BY expires_at LIMIT 10 FOR UPDATE SKIP LOCKED);
END;
$$;

-- Whether a token can be used for something now.
CREATE FUNCTION email_token_is_good(p_token email_tokens) RETURNS boolean
LANGUAGE sql STABLE
RETURN (p_token).digest IS NOT NULL AND (p_token).user_id IS NOT NULL
   AND (p_token).spent_at IS NULL AND (p_token).expires_at > now();

-- ---------------------------------------------------------------------------
-- How much mail a recipient is sent and a client causes within an hour.
-- ---------------------------------------------------------------------------

CREATE TABLE mail_quota (
    -- 'email:' and the recipient, known or not, or 'address:' and the client's.
    subject        text PRIMARY KEY,
    window_started timestamptz NOT NULL,
    sent           integer NOT NULL
);

-- Serves the sweep of windows that have ended.
CREATE INDEX mail_quota_by_window ON mail_quota (window_started);

CREATE FUNCTION mail_quota_window() RETURNS interval
LANGUAGE sql IMMUTABLE RETURN interval '1 hour';

-- Counts one mail: null when it may go, or how long until one may.
CREATE FUNCTION mail_quota_take(p_subject text, p_max integer) RETURNS interval
LANGUAGE plpgsql AS $$
DECLARE
    v_quota mail_quota;
BEGIN
    INSERT INTO mail_quota AS q (subject, window_started, sent) VALUES (p_subject, now(), 1)
    ON CONFLICT (subject) DO UPDATE
       SET sent = CASE WHEN q.window_started <= now() - mail_quota_window() THEN 1
                       -- One above the bound says "over" as well as any number.
                       ELSE least(q.sent, p_max) + 1 END,
           window_started = CASE WHEN q.window_started <= now() - mail_quota_window() THEN now()
                                 ELSE q.window_started END
    RETURNING * INTO v_quota;
    DELETE FROM mail_quota WHERE subject IN (
        SELECT subject FROM mail_quota WHERE window_started < now() - 2 * mail_quota_window()
         ORDER BY window_started LIMIT 10 FOR UPDATE SKIP LOCKED);
    IF v_quota.sent > p_max THEN
        RETURN v_quota.window_started + mail_quota_window() - now();
    END IF;
    RETURN NULL;
END;
$$;

-- What a client is told whose address has caused too much mail, or null.
CREATE FUNCTION mail_refusal(p_address text, p_max_per_address integer) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_wait interval := mail_quota_take('address:' || p_address, p_max_per_address);
BEGIN
    IF v_wait IS NOT NULL THEN
        RETURN json_build_object('outcome', 'too_many_mails',
                                 'retry_after_secs', greatest(1, ceil(extract(epoch FROM v_wait)))::integer);
    END IF;
    RETURN NULL;
END;
$$;

-- The organization whose audit log tells what happened to a user who acts in
-- none: the oldest of theirs, as at the login. Null for a user who has none.
CREATE FUNCTION user_home_organization(p_user_id uuid) RETURNS uuid
LANGUAGE sql STABLE AS $$
    SELECT organization_id FROM memberships WHERE user_id = p_user_id ORDER BY created_at LIMIT 1
$$;

-- ---------------------------------------------------------------------------
-- Sign-up.
-- ---------------------------------------------------------------------------

-- Creates a user with an organization of their own; false when the email is
-- taken. Safe to send twice: the ids are the caller's.
CREATE FUNCTION user_register(
    p_user_id uuid, p_organization_id uuid, p_email text, p_password_hash text
) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO users (id, email, password_hash) VALUES (p_user_id, p_email, p_password_hash)
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO organizations (id, name) VALUES (p_organization_id, p_email);
    INSERT INTO memberships (organization_id, user_id, role)
    VALUES (p_organization_id, p_user_id, 'owner');
    PERFORM audit_append(p_organization_id, 'user.registered', p_user_id, prefixed_id('usr_', p_user_id));
    RETURN true;
END;
$$;

-- What a sign-up needs before it hashes: that its address has not caused too
-- much mail, and a lease.
CREATE FUNCTION auth_signup_begin(
    p_address text, p_max_per_address integer, p_lease_id uuid, p_host_id text, p_max_leases integer
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_refusal json;
BEGIN
    IF NOT hash_lease_take(p_lease_id, p_host_id, p_max_leases) THEN
        RETURN json_build_object('outcome', 'busy');
    END IF;
    v_refusal := mail_refusal(p_address, p_max_per_address);
    IF v_refusal IS NOT NULL THEN
        PERFORM hash_lease_release(p_lease_id);
        RETURN v_refusal;
    END IF;
    RETURN json_build_object('outcome', 'proceed');
END;
$$;

-- Registers the user unless the email is taken. Whoever has the email is sent
-- the link that proves it, or is told that they have an account; the caller is
-- answered alike. 'mail' is for the developer's log only.
DROP FUNCTION auth_signup(uuid, uuid, text, text);
CREATE FUNCTION auth_signup(
    p_user_id uuid, p_organization_id uuid, p_email text, p_password_hash text, p_lease_id uuid,
    p_message_id uuid, p_token text, p_token_digest bytea, p_ttl_secs integer, p_max_per_email integer
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_is_new boolean := user_register(p_user_id, p_organization_id, p_email, p_password_hash);
    v_kind text;
    v_recipient text := '';
BEGIN
    PERFORM hash_lease_release(p_lease_id);
    -- Sent twice, it has written its message already.
    IF EXISTS (SELECT 1 FROM outbox_messages WHERE id = p_message_id) THEN
        RETURN json_build_object('outcome', 'accepted');
    END IF;
    v_kind := CASE WHEN v_is_new THEN 'verify_email' ELSE 'email_taken' END;
    IF mail_quota_take('email:' || p_email, p_max_per_email) IS NULL THEN
        v_recipient := p_email;
    END IF;
    PERFORM email_token_add(p_token_digest, CASE WHEN v_is_new THEN p_user_id END, 'verify_email', p_email, p_ttl_secs);
    PERFORM outbox_add(p_message_id, v_kind, v_recipient, CASE WHEN v_is_new THEN p_token END);
    RETURN json_build_object('outcome', 'accepted',
                             'mail', json_build_object('kind', v_kind, 'to', v_recipient));
END;
$$;

-- ---------------------------------------------------------------------------
-- A forgotten password.
-- ---------------------------------------------------------------------------

-- Sends a link with which the password can be replaced. For an email that
-- nobody has, or that was sent enough mail, the same rows are written, for
-- nobody, and nothing is sent.
CREATE FUNCTION auth_password_forgot(
    p_email text, p_address text, p_message_id uuid, p_token text, p_token_digest bytea, p_ttl_secs integer,
    p_max_per_email integer, p_max_per_address integer
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_refusal json;
    v_is_allowed boolean;
    v_user_id uuid;
    v_recipient text;
BEGIN
    IF EXISTS (SELECT 1 FROM outbox_messages WHERE id = p_message_id) THEN
        RETURN json_build_object('outcome', 'accepted');
    END IF;
    v_refusal := mail_refusal(p_address, p_max_per_address);
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    v_is_allowed := mail_quota_take('email:' || p_email, p_max_per_email) IS NULL;
    SELECT id INTO v_user_id FROM users
     WHERE email = p_email AND disabled_at IS NULL AND v_is_allowed;
    v_recipient := CASE WHEN v_user_id IS NULL THEN '' ELSE p_email END;
    PERFORM email_token_add(p_token_digest, v_user_id, 'reset_password', p_email, p_ttl_secs);
    PERFORM outbox_add(p_message_id, 'reset_password', v_recipient, p_token);
    RETURN json_build_object('outcome', 'accepted',
                             'mail', json_build_object('kind', 'reset_password', 'to', v_recipient));
END;
$$;

-- Whose password a token may replace, and a lease to hash the new one.
CREATE FUNCTION auth_password_reset_begin(
    p_token_digest bytea, p_lease_id uuid, p_host_id text, p_max_leases integer
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_token email_tokens;
    v_user users;
BEGIN
    SELECT * INTO v_token FROM email_tokens WHERE digest = p_token_digest AND purpose = 'reset_password';
    SELECT * INTO v_user FROM users
     WHERE id = v_token.user_id AND email = v_token.email AND disabled_at IS NULL;
    IF NOT email_token_is_good(v_token) OR v_user.id IS NULL THEN
        RETURN json_build_object('outcome', 'invalid_token');
    END IF;
    IF NOT hash_lease_take(p_lease_id, p_host_id, p_max_leases) THEN
        RETURN json_build_object('outcome', 'busy');
    END IF;
    RETURN json_build_object('outcome', 'proceed', 'user_id', prefixed_id('usr_', v_user.id), 'email', v_user.email);
END;
$$;

-- Spends the token, sets the password and ends every session. Of N uses at the
-- same moment the user's row lets one through, and the rest find the token
-- spent. A second factor stays what it was.
CREATE FUNCTION auth_password_reset(
    p_token_digest bytea, p_use_id uuid, p_new_hash text, p_message_id uuid, p_lease_id uuid
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_token email_tokens;
    v_user users;
    v_organization_id uuid;
BEGIN
    PERFORM hash_lease_release(p_lease_id);
    -- The user before the token, as everyone locks who spends several tokens.
    SELECT u.* INTO v_user FROM email_tokens t JOIN users u ON u.id = t.user_id
     WHERE t.digest = p_token_digest AND t.purpose = 'reset_password'
       FOR NO KEY UPDATE OF u;
    SELECT * INTO v_token FROM email_tokens
     WHERE digest = p_token_digest AND purpose = 'reset_password' FOR UPDATE;
    IF v_token.spent_by = p_use_id THEN
        RETURN json_build_object('outcome', 'changed');
    END IF;
    IF NOT email_token_is_good(v_token) OR v_user.id IS NULL
       OR v_user.email <> v_token.email OR v_user.disabled_at IS NOT NULL THEN
        RETURN json_build_object('outcome', 'invalid_token');
    END IF;
    UPDATE email_tokens SET spent_at = now(), spent_by = CASE WHEN digest = p_token_digest THEN p_use_id END
     WHERE user_id = v_user.id AND purpose = 'reset_password' AND spent_at IS NULL;
    -- The mail arrived, or there were no token.
    UPDATE users SET password_hash = p_new_hash, email_verified_at = coalesce(email_verified_at, now())
     WHERE id = v_user.id;
    UPDATE sessions SET revoked_at = now() WHERE user_id = v_user.id AND revoked_at IS NULL;
    -- Nobody had proved the email before: whoever signed up with it may have been
    -- somebody else, and left a key behind.
    IF v_user.email_verified_at IS NULL THEN
        UPDATE api_keys SET revoked_at = now() WHERE user_id = v_user.id AND revoked_at IS NULL;
    END IF;
    DELETE FROM login_attempts WHERE subject = 'account:' || v_user.email;
    v_organization_id := user_home_organization(v_user.id);
    IF v_organization_id IS NOT NULL THEN
        PERFORM audit_append(v_organization_id, 'password.reset', v_user.id, prefixed_id('usr_', v_user.id));
    END IF;
    PERFORM outbox_add(p_message_id, 'password_changed', v_user.email, NULL);
    RETURN json_build_object('outcome', 'changed',
                             'mail', json_build_object('kind', 'password_changed', 'to', v_user.email));
END;
$$;

-- ---------------------------------------------------------------------------
-- Verifying and changing the email.
-- ---------------------------------------------------------------------------

-- Sends the link that proves the user's email once more.
CREATE FUNCTION auth_email_verification(
    p_digest bytea, p_address text, p_message_id uuid, p_token text, p_token_digest bytea, p_ttl_secs integer,
    p_max_per_email integer, p_max_per_address integer
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := session_refusal(v_principal);
    v_user users;
    v_recipient text := '';
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    SELECT * INTO v_user FROM users WHERE id = v_principal.user_id;
    IF v_user.email_verified_at IS NOT NULL THEN
        RETURN json_build_object('outcome', 'verified');
    END IF;
    IF EXISTS (SELECT 1 FROM outbox_messages WHERE id = p_message_id) THEN
        RETURN json_build_object('outcome', 'accepted');
    END IF;
    v_refusal := mail_refusal(p_address, p_max_per_address);
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    IF mail_quota_take('email:' || v_user.email, p_max_per_email) IS NULL THEN
        v_recipient := v_user.email;
        PERFORM email_token_add(p_token_digest, v_user.id, 'verify_email', v_user.email, p_ttl_secs);
    END IF;
    PERFORM outbox_add(p_message_id, 'verify_email', v_recipient, p_token);
    RETURN json_build_object('outcome', 'accepted',
                             'mail', json_build_object('kind', 'verify_email', 'to', v_recipient));
END;
$$;

-- Sends the link that makes another email the user's. One that somebody has is
-- answered alike, so that nobody learns who has an account.
CREATE FUNCTION auth_email_change(
    p_digest bytea, p_email text, p_address text, p_message_id uuid, p_token text, p_token_digest bytea,
    p_ttl_secs integer, p_max_per_email integer, p_max_per_address integer
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := recent_login_refusal(v_principal);
    v_is_allowed boolean;
    v_recipient text;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    IF EXISTS (SELECT 1 FROM outbox_messages WHERE id = p_message_id) THEN
        RETURN json_build_object('outcome', 'accepted');
    END IF;
    IF EXISTS (SELECT 1 FROM users WHERE id = v_principal.user_id AND email = p_email) THEN
        RETURN json_build_object('outcome', 'unchanged');
    END IF;
    v_refusal := mail_refusal(p_address, p_max_per_address);
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    v_is_allowed := mail_quota_take('email:' || p_email, p_max_per_email) IS NULL
                    AND NOT EXISTS (SELECT 1 FROM users WHERE email = p_email);
    v_recipient := CASE WHEN v_is_allowed THEN p_email ELSE '' END;
    PERFORM email_token_add(p_token_digest, CASE WHEN v_is_allowed THEN v_principal.user_id END,
                            'change_email', p_email, p_ttl_secs);
    PERFORM outbox_add(p_message_id, 'change_email', v_recipient, p_token);
    RETURN json_build_object('outcome', 'accepted',
                             'mail', json_build_object('kind', 'change_email', 'to', v_recipient));
END;
$$;

-- Whose email a token proves, before the caches of that user are told.
CREATE FUNCTION auth_email_confirm_begin(p_token_digest bytea) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_token email_tokens;
BEGIN
    SELECT * INTO v_token FROM email_tokens
     WHERE digest = p_token_digest AND purpose IN ('verify_email', 'change_email');
    IF NOT email_token_is_good(v_token) THEN
        RETURN json_build_object('outcome', 'invalid_token');
    END IF;
    RETURN json_build_object('outcome', 'proceed', 'user_id', prefixed_id('usr_', v_token.user_id));
END;
$$;

-- Spends the token: the email is verified, or is another from now on.
CREATE FUNCTION auth_email_confirm(p_token_digest bytea, p_use_id uuid, p_message_id uuid) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_token email_tokens;
    v_user users;
    v_organization_id uuid;
    v_is_change boolean;
    v_outcome text;
BEGIN
    -- The user before the token, as everyone locks who spends several tokens.
    SELECT u.* INTO v_user FROM email_tokens t JOIN users u ON u.id = t.user_id
     WHERE t.digest = p_token_digest FOR NO KEY UPDATE OF u;
    SELECT * INTO v_token FROM email_tokens
     WHERE digest = p_token_digest AND purpose IN ('verify_email', 'change_email') FOR UPDATE;
    v_is_change := v_token.purpose = 'change_email';
    v_outcome := CASE WHEN v_is_change THEN 'changed' ELSE 'verified' END;
    IF v_token.spent_by = p_use_id THEN
        RETURN json_build_object('outcome', v_outcome);
    END IF;
    IF NOT email_token_is_good(v_token) OR v_user.id IS NULL OR v_user.disabled_at IS NOT NULL
       OR (NOT v_is_change AND v_user.email <> v_token.email) THEN
        RETURN json_build_object('outcome', 'invalid_token');
    END IF;
    IF v_is_change THEN
        BEGIN
            UPDATE users SET email = v_token.email, email_verified_at = now() WHERE id = v_user.id;
        EXCEPTION WHEN unique_violation THEN
            -- Somebody else took it first.
            RETURN json_build_object('outcome', 'invalid_token');
        END;
        -- Links that went to the old email open nothing any more.
        UPDATE email_tokens SET spent_at = now()
         WHERE user_id = v_user.id AND spent_at IS NULL AND digest <> p_token_digest;
    ELSE
        UPDATE users SET email_verified_at = coalesce(email_verified_at, now()) WHERE id = v_user.id;
    END IF;
    UPDATE email_tokens SET spent_at = now(), spent_by = p_use_id WHERE digest = p_token_digest;
    v_organization_id := user_home_organization(v_user.id);
    IF v_organization_id IS NOT NULL THEN
        PERFORM audit_append(v_organization_id, 'email.' || v_outcome, v_user.id, prefixed_id('usr_', v_user.id));
    END IF;
    IF NOT v_is_change THEN
        RETURN json_build_object('outcome', v_outcome);
    END IF;
    PERFORM outbox_add(p_message_id, 'email_changed', v_user.email, NULL);
    RETURN json_build_object('outcome', v_outcome,
                             'mail', json_build_object('kind', 'email_changed', 'to', v_user.email));
END;
$$;

-- ---------------------------------------------------------------------------
-- The sender.
-- ---------------------------------------------------------------------------

-- Serves the sweep of messages that were settled long ago.
CREATE INDEX outbox_messages_settled ON outbox_messages (settled_at) WHERE settled_at IS NOT NULL;

-- Hands out messages that are due, to one caller each, for as long as the lease
-- lasts: whoever took one and fell silent loses it to the next. Sent twice it
-- may hand out twice as many, and those of the lost answer wait for the lease.
CREATE FUNCTION outbox_claim(p_digest bytea, p_limit integer, p_lease_secs integer) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'outbox:deliver');
    v_messages json;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    DELETE FROM outbox_messages WHERE id IN (
        SELECT id FROM outbox_messages WHERE settled_at < now() - interval '30 days'
         ORDER BY settled_at LIMIT 100 FOR UPDATE SKIP LOCKED);
    WITH due AS MATERIALIZED (
        SELECT id FROM outbox_messages
         WHERE settled_at IS NULL AND next_attempt_at <= now()
         ORDER BY next_attempt_at LIMIT p_limit FOR UPDATE SKIP LOCKED
    ), claimed AS (
        UPDATE outbox_messages m
           SET attempts = m.attempts + 1, next_attempt_at = now() + make_interval(secs => p_lease_secs)
          FROM due WHERE m.id = due.id
        RETURNING m.*
    )
    SELECT coalesce(json_agg(json_build_object(
               'id', prefixed_id('msg_', c.id), 'kind', c.kind, 'to', c.recipient, 'token', c.token,
               'detail', c.detail) ORDER BY c.id), '[]'::json)
      INTO v_messages FROM claimed c;
    RETURN json_build_object('outcome', 'claimed', 'messages', v_messages);
END;
$$;

-- How long a message waits after its n-th failure: 1, 2, 4 ... minutes, at most 60.
CREATE FUNCTION outbox_delay(p_attempts integer) RETURNS interval
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN make_interval(mins => least(60, 2 ^ least(p_attempts - 1, 6))::integer);

-- Records what became of messages: a list of {"id", "error"}, where no error is
-- success. A message is given up after p_max_attempts. Its token is wiped when
-- it is settled either way.
CREATE FUNCTION outbox_record(p_results jsonb, p_max_attempts integer, p_max_error_chars integer) RETURNS json
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE outbox_messages m
       SET is_sent = r.error IS NULL,
           last_error = left(r.error, p_max_error_chars),
           settled_at = CASE WHEN r.error IS NULL OR m.attempts >= p_max_attempts THEN now() END,
           token = CASE WHEN r.error IS NULL OR m.attempts >= p_max_attempts THEN NULL ELSE m.token END,
           next_attempt_at = now() + outbox_delay(m.attempts)
      FROM jsonb_to_recordset(p_results) AS r (id uuid, error text)
     WHERE m.id = r.id AND m.settled_at IS NULL;
    RETURN json_build_object('outcome', 'recorded');
END;
$$;

-- The newest messages to anybody, for a developer's machine. The ids are in the
-- order of time.
CREATE FUNCTION outbox_messages_newest(p_limit integer) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT json_build_object('outcome', 'found', 'messages', coalesce(json_agg(json_build_object(
               'id', prefixed_id('msg_', m.id), 'kind', m.kind, 'to', m.recipient, 'token', m.token,
               'detail', m.detail, 'created_at', rfc3339(m.created_at)) ORDER BY m.id DESC), '[]'::json))
      FROM (SELECT * FROM outbox_messages WHERE recipient <> '' ORDER BY id DESC LIMIT p_limit) m
$$;

-- ---------------------------------------------------------------------------
-- What the signed-in user sees of it.
-- ---------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION auth_me(p_digest bytea) RETURNS json
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
BEGIN
    IF v_principal.user_id IS NULL THEN
        RETURN json_build_object('outcome', 'unauthenticated');
    END IF;
    RETURN (
        SELECT json_build_object(
            'outcome', 'found',
            'token_expires_millis', unix_millis(v_principal.expires_at),
            'user_id', prefixed_id('usr_', u.id),
            'email', u.email,
            'email_verified', u.email_verified_at IS NOT NULL,
            'organization_id', prefixed_id('org_', o.id),
            'organization_name', o.name,
            'session_id', prefixed_id('ses_', v_principal.session_id),
            'permissions', (SELECT coalesce(json_agg(DISTINCT p ORDER BY p), '[]'::json)
                              FROM unnest(v_principal.permissions) p),
            'created_at', rfc3339(u.created_at))
          FROM users u, organizations o
         WHERE u.id = v_principal.user_id AND o.id = v_principal.organization_id
    );
END;
$$;
