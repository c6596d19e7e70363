-- The keys that sign JWTs. A private key is derived from the deployment's secret
-- and the key's id whenever it is needed, and is stored nowhere: what is kept here
-- is which ids sign and which are published, and since when.

CREATE TABLE signing_keys (
    kid        text PRIMARY KEY CHECK (kid ~ '^[A-Za-z0-9_-]{1,64}$'),
    created_at timestamptz NOT NULL DEFAULT now(),
    -- From when on it signs. It is published from the start, so that whoever keeps
    -- the published keys has this one before the first token that it signed.
    signs_from timestamptz NOT NULL,
    -- From when on it is published no more, and what it signed is worth nothing;
    -- null while no end is set. Its successor signs from
    -- retired_at - signing_key_tail_interval(), and it itself no longer.
    retired_at timestamptz
);

-- Only the newest key has no end, so that two rotations at once are one.
CREATE UNIQUE INDEX signing_keys_endless ON signing_keys ((true)) WHERE retired_at IS NULL;

-- How long a published list of keys may be kept by whoever fetched it: the max-age
-- that the list is sent with.
CREATE FUNCTION jwks_max_age_interval() RETURNS interval
LANGUAGE sql IMMUTABLE RETURN interval '300 seconds';

-- How long a JWT lives. It cannot be revoked where it is validated offline.
CREATE FUNCTION jwt_lifetime_interval() RETURNS interval
LANGUAGE sql IMMUTABLE RETURN interval '300 seconds';

-- By how much clocks may differ, and how long a list or a token may be on its way.
CREATE FUNCTION jwt_leeway_interval() RETURNS interval
LANGUAGE sql IMMUTABLE RETURN interval '60 seconds';

-- How long a key is published before it signs: until every list without it has run
-- out. 300 s + 60 s = 360 s.
CREATE FUNCTION signing_key_lead_interval() RETURNS interval
LANGUAGE sql IMMUTABLE RETURN jwks_max_age_interval() + jwt_leeway_interval();

-- How long a key is published after it signed its last token: until that one has
-- expired everywhere. 300 s + 60 s = 360 s.
CREATE FUNCTION signing_key_tail_interval() RETURNS interval
LANGUAGE sql IMMUTABLE RETURN jwt_lifetime_interval() + jwt_leeway_interval();

-- How long a key signs before a successor is made without being asked for.
CREATE FUNCTION signing_key_rotation_interval() RETURNS interval
LANGUAGE sql IMMUTABLE RETURN interval '90 days';

-- What a key is at a moment.
--   next       published, and signs later
--   signing    signs new tokens; there is one at most
--   published  signs no more, and what it signed is still good
--   retired    is gone
CREATE FUNCTION signing_key_state(p_key signing_keys, p_time timestamptz) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE
    WHEN (p_key).retired_at <= p_time THEN 'retired'
    WHEN (p_key).signs_from > p_time THEN 'next'
    WHEN (p_key).retired_at IS NULL OR (p_key).retired_at - signing_key_tail_interval() > p_time THEN 'signing'
    ELSE 'published'
END;

-- The key in a state at a moment, or a null one. The moment is always the clock's
-- and not the transaction's start: a key that another transaction made while this
-- one waited for it must count.
CREATE FUNCTION signing_key_in_state(p_state text, p_time timestamptz) RETURNS signing_keys
LANGUAGE sql STABLE
AS $$
    SELECT k FROM signing_keys k
     WHERE (retired_at IS NULL OR retired_at > p_time) AND signing_key_state(k, p_time) = p_state
     ORDER BY signs_from DESC LIMIT 1
$$;

-- Lets one transaction at a time decide which keys there are.
CREATE FUNCTION signing_keys_lock() RETURNS void
LANGUAGE sql AS $$ SELECT pg_advisory_xact_lock(hashtext('signing_keys'), 0) $$;

-- Publishes a key after p_current, which signs until the new one does. Without a
-- current key nobody is waiting for one, and the new key signs at once.
CREATE FUNCTION signing_key_publish(p_new_kid text, p_current signing_keys) RETURNS signing_keys
LANGUAGE plpgsql AS $$
DECLARE
    v_key signing_keys;
    v_signs_from timestamptz := clock_timestamp();
BEGIN
    IF p_current.kid IS NOT NULL THEN
        v_signs_from := v_signs_from + signing_key_lead_interval();
        UPDATE signing_keys SET retired_at = v_signs_from + signing_key_tail_interval() WHERE kid = p_current.kid;
    END IF;
    INSERT INTO signing_keys (kid, created_at, signs_from) VALUES (p_new_kid, clock_timestamp(), v_signs_from)
    RETURNING * INTO v_key;
    RETURN v_key;
END;
$$;

-- The key that signs now. The first one is made here, and the successor of one that
-- is old enough, so that no timer is needed: with nobody asking for tokens there is
-- nothing to rotate. Of callers that find the same need the first makes the key, and
-- the others take what it made.
CREATE FUNCTION signing_key_current(p_new_kid text) RETURNS signing_keys
LANGUAGE plpgsql AS $$
DECLARE
    v_key signing_keys := signing_key_in_state('signing', clock_timestamp());
BEGIN
    IF v_key.kid IS NOT NULL
       AND (v_key.retired_at IS NOT NULL OR v_key.signs_from > clock_timestamp() - signing_key_rotation_interval()) THEN
        RETURN v_key;
    END IF;
    PERFORM signing_keys_lock();
    v_key := signing_key_in_state('signing', clock_timestamp());
    IF v_key.kid IS NULL THEN
        RETURN signing_key_publish(p_new_kid, NULL);
    END IF;
    IF v_key.retired_at IS NULL AND v_key.signs_from <= clock_timestamp() - signing_key_rotation_interval() THEN
        PERFORM signing_key_publish(p_new_kid, v_key);
    END IF;
    RETURN v_key;
END;
$$;

-- Whole seconds since 1970, as in a JWT.
CREATE FUNCTION unix_secs(p_time timestamptz) RETURNS bigint
LANGUAGE sql STABLE STRICT PARALLEL SAFE
RETURN floor(extract(epoch FROM p_time))::bigint;

-- What a JWT for the credential says, and the key that signs it. p_scope is the
-- wanted part of the credential's permissions, or null for all of them.
CREATE FUNCTION auth_token(p_digest bytea, p_new_kid text, p_scope text[]) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_key signing_keys;
    v_issued_secs bigint;
    v_expires_secs bigint;
BEGIN
    IF v_principal.user_id IS NULL THEN
        RETURN json_build_object('outcome', 'unauthenticated');
    END IF;
    IF NOT coalesce(p_scope, '{}') <@ v_principal.permissions THEN
        RETURN json_build_object('outcome', 'scope_exceeded');
    END IF;
    v_key := signing_key_current(p_new_kid);
    v_issued_secs := unix_secs(clock_timestamp());
    -- It does not outlive the credential that it was made from.
    v_expires_secs := unix_secs(least(to_timestamp(v_issued_secs) + jwt_lifetime_interval(), v_principal.expires_at));
    -- A credential in its last second has no whole one left to give.
    IF v_expires_secs <= v_issued_secs THEN
        RETURN json_build_object('outcome', 'unauthenticated');
    END IF;
    RETURN json_build_object(
        'outcome', 'granted',
        'kid', v_key.kid,
        'issued_secs', v_issued_secs,
        'expires_secs', v_expires_secs,
        'user_id', prefixed_id('usr_', v_principal.user_id),
        'organization_id', prefixed_id('org_', v_principal.organization_id),
        'session_id', prefixed_id('ses_', v_principal.session_id),
        'api_key_id', prefixed_id('key_', v_principal.api_key_id),
        'scope', (SELECT coalesce(json_agg(DISTINCT p ORDER BY p), '[]'::json)
                    FROM unnest(coalesce(p_scope, v_principal.permissions)) p));
END;
$$;

-- The ids of the published keys, newest first. A signing key is made if there is
-- none, so that a verifier which starts before the first token has something to hold.
CREATE FUNCTION auth_jwks(p_new_kid text) RETURNS json
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM signing_key_current(p_new_kid);
    RETURN (SELECT json_build_object('kids', json_agg(kid ORDER BY signs_from DESC, kid))
              FROM signing_keys WHERE retired_at IS NULL OR retired_at > clock_timestamp());
END;
$$;

CREATE FUNCTION signing_key_json(p_key signing_keys, p_time timestamptz) RETURNS json
LANGUAGE sql STABLE PARALLEL SAFE
RETURN json_build_object(
    'kid', (p_key).kid, 'state', signing_key_state(p_key, p_time), 'created_at', rfc3339((p_key).created_at),
    'signs_from', rfc3339((p_key).signs_from), 'retired_at', rfc3339((p_key).retired_at));

-- All keys, newest first; retired ones are kept as a record.
CREATE FUNCTION auth_signing_keys(p_digest bytea, p_limit integer) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'signing_keys:manage');
    v_now timestamptz := clock_timestamp();
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    RETURN json_build_object('outcome', 'found', 'signing_keys', (
        SELECT coalesce(json_agg(signing_key_json(k, v_now) ORDER BY k.created_at DESC, k.kid), '[]'::json)
          FROM (SELECT * FROM signing_keys ORDER BY created_at DESC, kid LIMIT p_limit) k));
END;
$$;

-- Publishes a successor of the signing key now, unless one is published already and
-- waits to sign. Safe to send twice: the id is the caller's.
CREATE FUNCTION auth_signing_key_rotate(p_digest bytea, p_new_kid text) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'signing_keys:manage');
    v_key signing_keys;
    v_waiting signing_keys;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    PERFORM signing_keys_lock();
    SELECT * INTO v_key FROM signing_keys WHERE kid = p_new_kid;
    IF NOT FOUND THEN
        v_waiting := signing_key_in_state('next', clock_timestamp());
        IF v_waiting.kid IS NOT NULL THEN
            RETURN json_build_object('outcome', 'rotation_pending', 'retry_after_secs',
                greatest(1, ceil(extract(epoch FROM v_waiting.signs_from - clock_timestamp())))::integer);
        END IF;
        v_key := signing_key_publish(p_new_kid, signing_key_in_state('signing', clock_timestamp()));
        PERFORM audit_append(v_principal.organization_id, 'signing_key.published', v_principal.user_id, v_key.kid,
                             jsonb_build_object('signs_from', rfc3339(v_key.signs_from)));
    END IF;
    RETURN json_build_object('outcome', 'rotated', 'signing_key', signing_key_json(v_key, clock_timestamp()));
END;
$$;

-- Takes a key away at once: it is published no more, and its tokens are worth
-- nothing wherever Turnpike is asked. If it was signing, the one that waits signs
-- now, or else the next token makes a new key.
CREATE FUNCTION auth_signing_key_withdraw(p_digest bytea, p_kid text) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'signing_keys:manage');
    v_now timestamptz;
    v_key signing_keys;
    v_state text;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    PERFORM signing_keys_lock();
    v_now := clock_timestamp();
    SELECT * INTO v_key FROM signing_keys WHERE kid = p_kid;
    IF NOT FOUND THEN
        RETURN json_build_object('outcome', 'not_found');
    END IF;
    v_state := signing_key_state(v_key, v_now);
    -- One that is retired already is as gone as the caller wants it.
    IF v_state <> 'retired' THEN
        UPDATE signing_keys SET retired_at = v_now WHERE kid = p_kid;
        IF v_state = 'next' THEN
            -- The signing key has no successor any more, and so no end.
            UPDATE signing_keys k SET retired_at = NULL WHERE signing_key_state(k, v_now) = 'signing';
        ELSIF v_state = 'signing' THEN
            UPDATE signing_keys k SET signs_from = v_now WHERE signing_key_state(k, v_now) = 'next';
        END IF;
        PERFORM audit_append(v_principal.organization_id, 'signing_key.withdrawn', v_principal.user_id, p_kid,
                             jsonb_build_object('state', v_state));
    END IF;
    RETURN json_build_object('outcome', 'withdrawn');
END;
$$;

-- What a JWT of the caller's organization stands for. All that is known of it came
-- out of the unverified token, and is only looked up: the answer says whether such
-- a key is published, so that the component may verify, and what the named session
-- or API key may do at present. The token is as live as the credential that it was
-- made from, and authenticate() alone decides what that means.
CREATE FUNCTION auth_introspect_jwt(
    p_caller bytea, p_kid text, p_organization_id uuid, p_session_id uuid, p_api_key_id uuid
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_caller principal := authenticate(p_caller);
    v_refusal json := refusal(v_caller, 'tokens:introspect');
    v_subject principal;
    v_digest bytea;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    IF v_caller.organization_id = p_organization_id AND EXISTS (
        SELECT 1 FROM signing_keys k
         WHERE kid = p_kid AND signing_key_state(k, clock_timestamp()) IN ('signing', 'published')) THEN
        IF p_session_id IS NOT NULL THEN
            -- A refresh replaces the access token and keeps the session, so the one
            -- that is live now need not be the one that was presented then.
            SELECT digest INTO v_digest FROM access_tokens
             WHERE session_id = p_session_id ORDER BY expires_at DESC LIMIT 1;
        ELSE
            SELECT digest INTO v_digest FROM api_keys
             WHERE id = p_api_key_id AND organization_id = p_organization_id;
        END IF;
        IF v_digest IS NOT NULL THEN
            v_subject := authenticate(v_digest);
        END IF;
    END IF;
    RETURN json_build_object(
        'outcome', 'answered',
        'now_secs', unix_secs(clock_timestamp()),
        'subject', CASE WHEN v_subject.organization_id = p_organization_id THEN json_build_object(
            'organization_id', prefixed_id('org_', v_subject.organization_id),
            'user_id', prefixed_id('usr_', v_subject.user_id),
            'session_id', prefixed_id('ses_', v_subject.session_id),
            'api_key_id', prefixed_id('key_', v_subject.api_key_id),
            'expires_millis', CASE WHEN v_subject.expires_at < 'infinity' THEN unix_millis(v_subject.expires_at) END,
            'permissions', (SELECT coalesce(json_agg(DISTINCT p ORDER BY p), '[]'::json) FROM unnest(v_subject.permissions) p)
        ) END);
END;
$$;
