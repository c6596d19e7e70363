-- A second factor at sign-in, proving again who one is, and the bound on hashing
-- wherever a password is checked.

-- ---------------------------------------------------------------------------
-- One-time codes. The secret is derived from the deployment's own and from the
-- enrolment, and is stored nowhere.
-- ---------------------------------------------------------------------------

CREATE TABLE totp_enrolments (
    user_id      uuid PRIMARY KEY REFERENCES users (id),
    -- Random bytes that tell this enrolment from the user's next.
    enrolment    bytea NOT NULL CHECK (octet_length(enrolment) = 16),
    created_at   timestamptz NOT NULL DEFAULT now(),
    -- When the user showed a first code; null until then, and nothing is asked
    -- for at sign-in.
    confirmed_at timestamptz,
    -- The time step of the newest code that was used. Only a later one is good.
    last_step    bigint NOT NULL DEFAULT 0
);

-- Codes that stand in for a lost authenticator, each of them once.
CREATE TABLE recovery_codes (
    user_id uuid NOT NULL REFERENCES users (id),
    digest  bytea NOT NULL CHECK (octet_length(digest) = 32),
    used_at timestamptz,
    PRIMARY KEY (user_id, digest)
);

-- The request that last proved who the session's user is. It tells a statement
-- that is sent twice from a code that is used twice.
ALTER TABLE sessions ADD COLUMN authentication_id uuid;

-- How long an enrolment waits for its first code.
CREATE FUNCTION totp_confirmation_interval() RETURNS interval
LANGUAGE sql IMMUTABLE RETURN interval '1 hour';

-- The enrolment in force, as hexadecimal digits; null when none is.
CREATE FUNCTION totp_enrolment(p_user_id uuid) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT encode(enrolment, 'hex') FROM totp_enrolments
     WHERE user_id = p_user_id AND confirmed_at IS NOT NULL
$$;

-- Spends a second factor: the step whose code was right for the enrolment, or a
-- recovery code. Answers 'not_enabled', 'required' when there is neither,
-- 'accepted', or 'invalid', which a code that was used before is too. The caller
-- holds the user's row, so N uses of one code queue and one of them succeeds.
CREATE FUNCTION second_factor_spend(
    p_user_id uuid, p_enrolment bytea, p_totp_step bigint, p_recovery_digest bytea
) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
    IF totp_enrolment(p_user_id) IS NULL THEN
        RETURN 'not_enabled';
    END IF;
    IF p_totp_step IS NULL AND p_recovery_digest IS NULL THEN
        RETURN 'required';
    END IF;
    IF p_totp_step IS NOT NULL THEN
        UPDATE totp_enrolments SET last_step = p_totp_step
         WHERE user_id = p_user_id AND enrolment = p_enrolment AND last_step < p_totp_step;
    ELSE
        UPDATE recovery_codes SET used_at = now()
         WHERE user_id = p_user_id AND digest = p_recovery_digest AND used_at IS NULL;
    END IF;
    RETURN CASE WHEN FOUND THEN 'accepted' ELSE 'invalid' END;
END;
$$;

-- Whether the second factor is on, and how many recovery codes are left.
CREATE FUNCTION auth_totp(p_digest bytea) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := session_refusal(v_principal);
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    RETURN json_build_object(
        'outcome', 'found',
        'enabled', totp_enrolment(v_principal.user_id) IS NOT NULL,
        'recovery_codes_left', (SELECT count(*) FROM recovery_codes
                                 WHERE user_id = v_principal.user_id AND used_at IS NULL));
END;
$$;

-- Begins an enrolment, in place of one that was not confirmed.
CREATE FUNCTION auth_totp_enrol(p_digest bytea, p_enrolment bytea) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := recent_login_refusal(v_principal);
    v_email text;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    SELECT email INTO v_email FROM users WHERE id = v_principal.user_id FOR NO KEY UPDATE;
    INSERT INTO totp_enrolments AS e (user_id, enrolment) VALUES (v_principal.user_id, p_enrolment)
    ON CONFLICT (user_id) DO UPDATE
       SET enrolment = p_enrolment, created_at = now(), last_step = 0
     WHERE e.confirmed_at IS NULL;
    IF NOT FOUND THEN
        RETURN json_build_object('outcome', 'totp_enabled');
    END IF;
    RETURN json_build_object(
        'outcome', 'enrolled', 'user_id', prefixed_id('usr_', v_principal.user_id), 'email', v_email);
END;
$$;

-- The enrolment whose first code is to be checked.
CREATE FUNCTION auth_totp_confirm_begin(p_digest bytea, p_address text) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := session_refusal(v_principal);
    v_email text;
    v_wait interval;
    v_enrolment totp_enrolments;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    SELECT email INTO v_email FROM users WHERE id = v_principal.user_id;
    v_wait := login_wait(v_email, p_address);
    IF v_wait IS NOT NULL THEN
        RETURN json_build_object('outcome', 'locked', 'retry_after_secs', ceil(extract(epoch FROM v_wait))::integer);
    END IF;
    SELECT * INTO v_enrolment FROM totp_enrolments WHERE user_id = v_principal.user_id;
    IF v_enrolment.confirmed_at IS NOT NULL THEN
        RETURN json_build_object('outcome', 'totp_enabled');
    END IF;
    IF v_enrolment.user_id IS NULL OR v_enrolment.created_at <= now() - totp_confirmation_interval() THEN
        RETURN json_build_object('outcome', 'totp_not_enrolled');
    END IF;
    RETURN json_build_object(
        'outcome', 'proceed', 'user_id', prefixed_id('usr_', v_principal.user_id), 'email', v_email,
        'enrolment', encode(v_enrolment.enrolment, 'hex'));
END;
$$;

-- Whether the user's recovery codes are these. Digests come as hexadecimal
-- digits, because the host passes no array of bytea.
CREATE FUNCTION recovery_codes_are(p_user_id uuid, p_digests text[]) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT 1 FROM recovery_codes
                    WHERE user_id = p_user_id AND digest = decode(p_digests[1], 'hex'))
$$;

-- Replaces the user's recovery codes.
CREATE FUNCTION recovery_codes_replace(p_user_id uuid, p_digests text[]) RETURNS void
LANGUAGE sql AS $$
    DELETE FROM recovery_codes WHERE user_id = p_user_id;
    -- Two of the codes may be the same one, which is then good once.
    INSERT INTO recovery_codes (user_id, digest)
    SELECT DISTINCT p_user_id, decode(d, 'hex') FROM unnest(p_digests) d
$$;

-- Puts the enrolment in force, for which a first code was right.
CREATE FUNCTION auth_totp_confirm(
    p_digest bytea, p_enrolment bytea, p_totp_step bigint, p_recovery_digests text[]
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := session_refusal(v_principal);
    v_enrolment totp_enrolments;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    PERFORM 1 FROM users WHERE id = v_principal.user_id FOR NO KEY UPDATE;
    SELECT * INTO v_enrolment FROM totp_enrolments WHERE user_id = v_principal.user_id;
    IF v_enrolment.confirmed_at IS NOT NULL THEN
        -- Sent twice, the codes that were kept are this caller's.
        RETURN json_build_object('outcome', CASE
            WHEN recovery_codes_are(v_principal.user_id, p_recovery_digests) THEN 'enabled' ELSE 'totp_enabled' END);
    END IF;
    -- The code was checked against one enrolment, and so says nothing of another.
    IF v_enrolment.enrolment IS DISTINCT FROM p_enrolment THEN
        RETURN json_build_object('outcome', 'totp_not_enrolled');
    END IF;
    UPDATE totp_enrolments SET confirmed_at = now(), last_step = p_totp_step WHERE user_id = v_principal.user_id;
    PERFORM recovery_codes_replace(v_principal.user_id, p_recovery_digests);
    -- The other sessions were opened without the second factor. They go on, but
    -- a sensitive change asks each of them for it first.
    UPDATE sessions SET authenticated_at = 'epoch'
     WHERE user_id = v_principal.user_id AND id <> v_principal.session_id AND revoked_at IS NULL;
    PERFORM audit_append(v_principal.organization_id, 'totp.enabled', v_principal.user_id,
                         prefixed_id('usr_', v_principal.user_id));
    RETURN json_build_object('outcome', 'enabled');
END;
$$;

-- Ends the second factor. One that is off already is as off as the caller wants it.
CREATE FUNCTION auth_totp_disable(p_digest bytea) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := recent_login_refusal(v_principal);
    v_confirmed_at timestamptz;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    PERFORM 1 FROM users WHERE id = v_principal.user_id FOR NO KEY UPDATE;
    DELETE FROM totp_enrolments WHERE user_id = v_principal.user_id RETURNING confirmed_at INTO v_confirmed_at;
    DELETE FROM recovery_codes WHERE user_id = v_principal.user_id;
    IF v_confirmed_at IS NOT NULL THEN
        PERFORM audit_append(v_principal.organization_id, 'totp.disabled', v_principal.user_id,
                             prefixed_id('usr_', v_principal.user_id));
    END IF;
    RETURN json_build_object('outcome', 'disabled');
END;
$$;

-- Gives the user new recovery codes; the old ones are good for nothing.
CREATE FUNCTION auth_recovery_codes_replace(p_digest bytea, p_recovery_digests text[]) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := recent_login_refusal(v_principal);
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    PERFORM 1 FROM users WHERE id = v_principal.user_id FOR NO KEY UPDATE;
    IF totp_enrolment(v_principal.user_id) IS NULL THEN
        RETURN json_build_object('outcome', 'totp_not_enabled');
    END IF;
    -- Sent twice, they were replaced by the first.
    IF NOT recovery_codes_are(v_principal.user_id, p_recovery_digests) THEN
        PERFORM recovery_codes_replace(v_principal.user_id, p_recovery_digests);
        PERFORM audit_append(v_principal.organization_id, 'totp.recovery_codes_replaced', v_principal.user_id,
                             prefixed_id('usr_', v_principal.user_id));
    END IF;
    RETURN json_build_object('outcome', 'replaced');
END;
$$;

-- ---------------------------------------------------------------------------
-- The bound on hashing, as part of the statements that precede and follow a hash.
-- ---------------------------------------------------------------------------

-- As before, and a lease that is being given back keeps nobody waiting who
-- sweeps the ones that ran out.
CREATE OR REPLACE FUNCTION hash_lease_take(p_id uuid, p_host_id text, p_max integer) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('hash_leases'), hashtext(p_host_id));
    DELETE FROM hash_leases WHERE id IN (
        SELECT id FROM hash_leases
         -- The clock, not the transaction's start, which was before the lock.
         WHERE host_id = p_host_id AND expires_at <= clock_timestamp()
           FOR UPDATE SKIP LOCKED);
    IF (SELECT count(*) FROM hash_leases
         WHERE host_id = p_host_id AND id <> p_id AND expires_at > clock_timestamp()) >= p_max THEN
        RETURN false;
    END IF;
    INSERT INTO hash_leases (id, host_id, expires_at)
    -- Ten seconds: several times what a host with a full queue needs for a hash.
    VALUES (p_id, p_host_id, clock_timestamp() + interval '10 seconds')
    ON CONFLICT (id) DO NOTHING;
    RETURN true;
END;
$$;

-- As before, and gives back the lease of the hash that did not match.
DROP FUNCTION auth_login_failed(text, text, integer, integer);
CREATE FUNCTION auth_login_failed(
    p_email text, p_address text, p_account_free integer, p_address_free integer, p_lease_id uuid DEFAULT NULL
) RETURNS void
LANGUAGE sql AS $$
    SELECT hash_lease_release(p_lease_id);
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

-- What a login needs to go on: the right to hash, the hash to verify and the
-- enrolment of the second factor; or how long to wait. An unknown email takes a
-- lease like any other, because it costs a hash like any other.
DROP FUNCTION auth_login_begin(text, text);
CREATE FUNCTION auth_login_begin(
    p_email text, p_address text, p_lease_id uuid, p_host_id text, p_max_leases integer
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_wait interval := login_wait(p_email, p_address);
    v_user users;
BEGIN
    IF v_wait IS NOT NULL THEN
        RETURN json_build_object('outcome', 'locked', 'retry_after_secs', ceil(extract(epoch FROM v_wait))::integer);
    END IF;
    IF NOT hash_lease_take(p_lease_id, p_host_id, p_max_leases) THEN
        RETURN json_build_object('outcome', 'busy');
    END IF;
    SELECT * INTO v_user FROM users WHERE email = p_email AND disabled_at IS NULL;
    RETURN json_build_object(
        'outcome', 'proceed',
        'user_id', prefixed_id('usr_', v_user.id),
        'password_hash', v_user.password_hash,
        'enrolment', totp_enrolment(v_user.id));
END;
$$;

-- As before, with the second factor of a user who has one, which is spent in the
-- statement that opens the session. A session that is there already was opened by
-- this very statement, sent before.
DROP FUNCTION auth_login(uuid, text, text, uuid, bytea, bytea, integer, integer, text, text);
CREATE FUNCTION auth_login(
    p_user_id uuid, p_verified_hash text, p_new_hash text, p_session_id uuid,
    p_access_digest bytea, p_refresh_digest bytea, p_access_ttl_secs integer, p_refresh_ttl_secs integer,
    p_user_agent text, p_address text,
    p_enrolment bytea DEFAULT NULL, p_totp_step bigint DEFAULT NULL, p_recovery_digest bytea DEFAULT NULL,
    p_lease_id uuid DEFAULT NULL
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_user users;
    v_organization_id uuid;
    v_expires_at timestamptz := now() + make_interval(secs => p_access_ttl_secs);
    v_second_factor text;
BEGIN
    PERFORM hash_lease_release(p_lease_id);
    SELECT * INTO v_user FROM users WHERE id = p_user_id AND disabled_at IS NULL FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN json_build_object('outcome', 'refused');
    END IF;
    SELECT organization_id INTO v_organization_id FROM sessions
     WHERE id = p_session_id AND user_id = p_user_id;
    IF NOT FOUND THEN
        IF v_user.password_hash <> p_verified_hash THEN
            RETURN json_build_object('outcome', 'refused');
        END IF;
        SELECT organization_id INTO v_organization_id FROM memberships
         WHERE user_id = p_user_id ORDER BY created_at LIMIT 1;
        IF NOT FOUND THEN
            RETURN json_build_object('outcome', 'refused');
        END IF;
        v_second_factor := second_factor_spend(p_user_id, p_enrolment, p_totp_step, p_recovery_digest);
        IF v_second_factor IN ('required', 'invalid') THEN
            RETURN json_build_object('outcome', 'second_factor_' || v_second_factor);
        END IF;
        IF p_new_hash <> p_verified_hash THEN
            UPDATE users SET password_hash = p_new_hash WHERE id = p_user_id;
        END IF;
        DELETE FROM login_attempts WHERE subject = 'account:' || v_user.email;
        INSERT INTO sessions (id, user_id, organization_id, user_agent, address)
        VALUES (p_session_id, p_user_id, v_organization_id, p_user_agent, p_address);
        INSERT INTO access_tokens (digest, session_id, expires_at)
        VALUES (p_access_digest, p_session_id, v_expires_at);
        INSERT INTO refresh_tokens (digest, session_id, expires_at)
        VALUES (p_refresh_digest, p_session_id, now() + make_interval(secs => p_refresh_ttl_secs));
        PERFORM audit_append(v_organization_id, 'session.opened', p_user_id, prefixed_id('ses_', p_session_id),
                             jsonb_build_object('address', p_address, 'user_agent', p_user_agent)
                             || CASE WHEN v_second_factor = 'accepted' THEN jsonb_build_object(
                                    'second_factor', CASE WHEN p_totp_step IS NULL THEN 'recovery_code' ELSE 'totp' END)
                                ELSE '{}' END);
    END IF;
    RETURN json_build_object(
        'outcome', 'opened',
        'session_id', prefixed_id('ses_', p_session_id),
        'user_id', prefixed_id('usr_', p_user_id),
        'organization_id', prefixed_id('org_', v_organization_id),
        'expires_at', rfc3339(v_expires_at));
END;
$$;

-- The hash that a password change must verify first, and the right to verify it.
DROP FUNCTION auth_password_begin(bytea, text);
CREATE FUNCTION auth_password_begin(
    p_digest bytea, p_address text, p_lease_id uuid, p_host_id text, p_max_leases integer
) RETURNS json
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
    IF NOT hash_lease_take(p_lease_id, p_host_id, p_max_leases) THEN
        RETURN json_build_object('outcome', 'busy');
    END IF;
    RETURN json_build_object('outcome', 'proceed', 'email', v_user.email, 'password_hash', v_user.password_hash);
END;
$$;

-- As before, and gives the lease back.
DROP FUNCTION auth_password_change(bytea, text, text);
CREATE FUNCTION auth_password_change(
    p_digest bytea, p_verified_hash text, p_new_hash text, p_lease_id uuid
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := session_refusal(v_principal);
    v_user users;
BEGIN
    PERFORM hash_lease_release(p_lease_id);
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

-- ---------------------------------------------------------------------------
-- Proving again who one is.
-- ---------------------------------------------------------------------------

-- What the proof must match. It takes a lease even if only a code will be
-- checked, because the bound on hashing bounds guesses that are under way too.
CREATE FUNCTION auth_reauthenticate_begin(
    p_digest bytea, p_address text, p_lease_id uuid, p_host_id text, p_max_leases integer
) RETURNS json
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
    IF NOT hash_lease_take(p_lease_id, p_host_id, p_max_leases) THEN
        RETURN json_build_object('outcome', 'busy');
    END IF;
    RETURN json_build_object(
        'outcome', 'proceed', 'user_id', prefixed_id('usr_', v_user.id), 'email', v_user.email,
        'password_hash', v_user.password_hash, 'enrolment', totp_enrolment(v_user.id));
END;
$$;

-- Notes that the session's user has just proved who they are. A password is
-- enough for a user without a second factor, and a code for one with it.
-- p_lease_id names the request: sent twice, it finds its own name.
CREATE FUNCTION auth_reauthenticate(
    p_digest bytea, p_verified_hash text, p_enrolment bytea, p_totp_step bigint, p_recovery_digest bytea,
    p_lease_id uuid
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := session_refusal(v_principal);
    v_user users;
    v_second_factor text;
    v_confirmed json := json_build_object(
        'outcome', 'confirmed', 'valid_for_secs', extract(epoch FROM recent_login_interval())::integer);
BEGIN
    PERFORM hash_lease_release(p_lease_id);
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    SELECT * INTO v_user FROM users WHERE id = v_principal.user_id FOR NO KEY UPDATE;
    IF EXISTS (SELECT 1 FROM sessions
                WHERE id = v_principal.session_id AND authentication_id = p_lease_id) THEN
        RETURN v_confirmed;
    END IF;
    IF p_verified_hash <> v_user.password_hash THEN
        RETURN json_build_object('outcome', 'wrong_password');
    END IF;
    v_second_factor := second_factor_spend(v_user.id, p_enrolment, p_totp_step, p_recovery_digest);
    IF v_second_factor IN ('required', 'invalid') THEN
        RETURN json_build_object('outcome', 'second_factor_' || v_second_factor);
    END IF;
    IF v_second_factor = 'not_enabled' AND p_verified_hash IS NULL THEN
        RETURN json_build_object('outcome', 'password_required');
    END IF;
    DELETE FROM login_attempts WHERE subject = 'account:' || v_user.email;
    UPDATE sessions SET authenticated_at = now(), authentication_id = p_lease_id
     WHERE id = v_principal.session_id;
    PERFORM audit_append(v_principal.organization_id, 'session.reauthenticated', v_principal.user_id,
                         prefixed_id('ses_', v_principal.session_id));
    RETURN v_confirmed;
END;
$$;

-- ---------------------------------------------------------------------------
-- An API key opened no session, and so has none to end: it is told what it is
-- told wherever only a person who signed in may act.
-- ---------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION auth_logout(p_digest bytea) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := session_refusal(v_principal);
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    IF NOT session_revoke(v_principal.session_id) THEN
        RETURN json_build_object('outcome', 'unauthenticated');
    END IF;
    PERFORM audit_append(v_principal.organization_id, 'session.ended', v_principal.user_id,
                         prefixed_id('ses_', v_principal.session_id));
    RETURN json_build_object('outcome', 'ended');
END;
$$;
