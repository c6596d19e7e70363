-- Who may do what: users, organizations, memberships, roles, sessions and tokens.

CREATE TABLE organizations (
    id         uuid PRIMARY KEY,
    name       text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- A role is a set of permissions. Built-in roles belong to no organization;
-- 'platform_admin' is the one that reaches across tenants.
CREATE TABLE roles (
    name        text PRIMARY KEY,
    permissions text[] NOT NULL
);

INSERT INTO roles (name, permissions) VALUES
    ('owner',          ARRAY['credits:read', 'credits:consume']),
    ('platform_admin', ARRAY['credits:read', 'credits:consume', 'credits:grant']);

CREATE TABLE users (
    id            uuid PRIMARY KEY,
    -- Lower case; the component normalizes before it asks.
    email         text NOT NULL UNIQUE,
    password_hash text NOT NULL,
    -- Permissions beyond those of the user's memberships, if any.
    platform_role text REFERENCES roles (name),
    created_at    timestamptz NOT NULL DEFAULT now(),
    disabled_at   timestamptz
);

CREATE TABLE memberships (
    organization_id uuid NOT NULL REFERENCES organizations (id),
    user_id         uuid NOT NULL REFERENCES users (id),
    role            text NOT NULL REFERENCES roles (name),
    created_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, user_id)
);

-- Serves "the organizations of a user" at login; the primary key serves
-- "the members of an organization".
CREATE INDEX memberships_by_user ON memberships (user_id, created_at);

CREATE TABLE sessions (
    id              uuid PRIMARY KEY,
    user_id         uuid NOT NULL REFERENCES users (id),
    organization_id uuid NOT NULL REFERENCES organizations (id),
    created_at      timestamptz NOT NULL DEFAULT now(),
    revoked_at      timestamptz,
    FOREIGN KEY (organization_id, user_id) REFERENCES memberships (organization_id, user_id)
);

-- Serves "the live sessions of a user".
CREATE INDEX sessions_live_by_user ON sessions (user_id, created_at) WHERE revoked_at IS NULL;

CREATE TABLE access_tokens (
    -- SHA-256 of the token; the token itself is never stored.
    digest     bytea PRIMARY KEY CHECK (octet_length(digest) = 32),
    session_id uuid NOT NULL REFERENCES sessions (id),
    expires_at timestamptz NOT NULL
);

CREATE INDEX access_tokens_by_session ON access_tokens (session_id);

-- What a valid token stands for. All columns are null when it is not valid.
CREATE TYPE principal AS (
    user_id         uuid,
    organization_id uuid,
    session_id      uuid,
    expires_at      timestamptz,
    permissions     text[]
);

-- The principal of a token, or a null one for a token that is unknown, expired
-- or revoked, and for a user who is disabled or has left the organization.
CREATE FUNCTION authenticate(p_digest bytea) RETURNS principal
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_principal principal;
BEGIN
    SELECT s.user_id, s.organization_id, s.id, t.expires_at,
           CASE WHEN u.platform_role IS NULL THEN r.permissions
                ELSE r.permissions || (SELECT permissions FROM roles WHERE name = u.platform_role)
           END
      INTO v_principal
      FROM access_tokens t
      JOIN sessions s ON s.id = t.session_id
      JOIN users u ON u.id = s.user_id
      JOIN memberships m ON m.organization_id = s.organization_id AND m.user_id = s.user_id
      JOIN roles r ON r.name = m.role
     WHERE t.digest = p_digest
       AND t.expires_at > now()
       AND s.revoked_at IS NULL
       AND u.disabled_at IS NULL;
    RETURN v_principal;
END;
$$;

-- What a caller without the needed permission is told, or null to go on.
CREATE FUNCTION refusal(p_principal principal, p_permission text) RETURNS json
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN (p_principal).user_id IS NULL THEN '{"outcome":"unauthenticated"}'::json
    WHEN p_permission <> ALL ((p_principal).permissions) THEN '{"outcome":"forbidden"}'::json
END;

-- Creates a user with an organization of their own. An email that is already
-- registered changes nothing and is answered alike, so that sign-up tells
-- nobody who has an account. Safe to send twice: the ids are the caller's.
CREATE FUNCTION auth_signup(
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
    END IF;
END;
$$;

-- Opens a session in the user's oldest organization, unless the user was
-- disabled, or the password changed, after the caller read the hash that it
-- verified.
CREATE FUNCTION auth_login(
    p_user_id uuid, p_verified_hash text, p_session_id uuid, p_digest bytea, p_ttl_secs integer
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_organization_id uuid;
    v_expires_at timestamptz := now() + make_interval(secs => p_ttl_secs);
BEGIN
    PERFORM 1 FROM users
     WHERE id = p_user_id AND password_hash = p_verified_hash AND disabled_at IS NULL
       FOR SHARE;
    IF NOT FOUND THEN
        RETURN json_build_object('outcome', 'refused');
    END IF;
    SELECT organization_id INTO v_organization_id FROM memberships
     WHERE user_id = p_user_id ORDER BY created_at LIMIT 1;
    IF NOT FOUND THEN
        RETURN json_build_object('outcome', 'refused');
    END IF;
    INSERT INTO sessions (id, user_id, organization_id)
    VALUES (p_session_id, p_user_id, v_organization_id)
    ON CONFLICT DO NOTHING;
    INSERT INTO access_tokens (digest, session_id, expires_at)
    VALUES (p_digest, p_session_id, v_expires_at)
    ON CONFLICT DO NOTHING;
    RETURN json_build_object(
        'outcome', 'opened',
        'session_id', prefixed_id('ses_', p_session_id),
        'user_id', prefixed_id('usr_', p_user_id),
        'organization_id', prefixed_id('org_', v_organization_id),
        'expires_at', rfc3339(v_expires_at)
    );
END;
$$;

-- The user, organization and permissions behind a token.
CREATE FUNCTION auth_me(p_digest bytea) RETURNS json
LANGUAGE plpgsql STABLE AS $$
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

-- Ends the token's session. A second call, or one with a token that was never
-- known, finds nothing to end.
CREATE FUNCTION auth_logout(p_digest bytea) RETURNS json
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE sessions SET revoked_at = now()
      FROM access_tokens t
     WHERE t.digest = p_digest AND t.expires_at > now()
       AND sessions.id = t.session_id AND sessions.revoked_at IS NULL;
    IF NOT FOUND THEN
        RETURN json_build_object('outcome', 'unauthenticated');
    END IF;
    RETURN json_build_object('outcome', 'ended');
END;
$$;
