-- Organizations, their people, and who may do what.
--
-- Whatever changes who belongs to an organization, or which roles it has, holds the
-- organization's row for the length of its transaction. So rules that look at more than
-- one row, such as that an owner is left, are exact, and a change knows everybody that it
-- concerns.

CREATE TABLE organizations (
    id         uuid PRIMARY KEY,
    name       text NOT NULL,
    -- The zone whose days and months the organization's summaries have.
    time_zone  text NOT NULL DEFAULT 'UTC',
    created_at timestamptz NOT NULL DEFAULT now()
);

-- The last number of a table's rows of each organization, where the rows of a list have an
-- order. A sequence would number the rows of all organizations, which then could not live
-- on more than one server, and would not be in the order of the commits.
CREATE TABLE organization_sequences (
    organization_id uuid NOT NULL REFERENCES organizations (id),
    table_name      text COLLATE "C" NOT NULL,
    last            bigint NOT NULL CHECK (last > 0),
    PRIMARY KEY (organization_id, table_name)
    -- Every row of the table changes it, and then updates no index.
) WITH (fillfactor = 50);

-- Numbers a row that comes without a number.
CREATE FUNCTION organization_sequence_take() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    NEW.sequence := organization_sequence_next(NEW.organization_id, TG_TABLE_NAME);
    RETURN NEW;
END;
$$;

-- Every permission that exists, so that a role cannot be given a misspelt one.
CREATE TABLE permissions (
    name        text PRIMARY KEY,
    description text NOT NULL,
    -- Reaches across tenants, so only the platform's own roles may hold it.
    is_platform boolean NOT NULL DEFAULT false
);

INSERT INTO permissions (name, description, is_platform) VALUES
    ('credits:read',         'See one''s balance and transactions', false),
    ('credits:consume',      'Spend one''s credits', false),
    ('credits:grant',        'Give credits to any user', true),
    ('tokens:introspect',    'Ask what a token of the organization stands for', false),
    ('api_keys:manage',      'Create, rotate and revoke one''s API keys', false),
    ('organization:read',    'See the organization and its members', false),
    ('organization:manage',  'Change the organization''s name', false),
    ('members:manage',       'Invite members, change their roles, remove them', false),
    ('roles:manage',         'Create and change the organization''s own roles', false),
    ('audit:read',           'Read the organization''s audit log', false),
    ('audit:read_platform',  'Read the audit log of what belongs to no organization', true),
    ('users:manage',         'See any user, disable and enable them, name owners, remove a lost second factor', true),
    ('signing_keys:manage',  'See and rotate the keys that sign JWTs', true),
    ('outbox:deliver',       'Send the mail that is waiting', true),
    ('billing:read',         'See the organization''s subscription, credit pool and spending', false),
    ('pool:manage',          'Say what each member may spend of the organization''s credit pool', false),
    ('pool:consume',         'Spend from the organization''s credit pool, within one''s allocation', false),
    ('subscriptions:manage', 'See and change any organization''s subscription', true),
    ('analytics:read',       'See the figures of the whole platform', true),
    ('metrics:read',         'Read the metrics of the deployment', true),
    ('cache:read',           'See how often the cache is hit, and whether it answers', true),
    ('cache:manage',         'Take away what is cached, and read it before it is asked for', true),
    ('usage:write',          'Send usage events', false),
    ('usage:read',           'See meters and the usage that they counted', false),
    ('meters:manage',        'Make and archive meters', false),
    ('usage:upkeep',         'Do what a scheduler asks for hourly: partitions, lapsed credits, entitlements', true),
    ('usage:close',          'Close the usage of any organization until a time', true),
    ('retention:purge',      'Delete what has lapsed', true),
    ('usage_alerts:manage',  'Make and archive usage alerts', false),
    ('plans:read',           'See plans and estimate prices', false),
    ('plans:manage',         'Make and change plans and their versions', true),
    ('entitlements:read',    'See and check entitlements', false),
    ('entitlements:manage',  'Give, change, reset and revoke entitlements of the organization''s subjects', false),
    ('entitlements:grant',   'Give, change, reset and revoke any organization''s entitlements', true);

-- A role is a set of permissions. Every organization has the built-in roles, and those of
-- its own making beside them.
CREATE TABLE built_in_roles (
    name        text PRIMARY KEY,
    permissions text[] NOT NULL
);

-- 'platform_admin' reaches across tenants. It reads plans itself, for whoever has a role
-- of an organization's own beside it.
INSERT INTO built_in_roles (name, permissions) VALUES
    ('owner', ARRAY[
        'credits:read', 'credits:consume', 'tokens:introspect', 'api_keys:manage', 'organization:read',
        'members:manage', 'roles:manage', 'audit:read', 'organization:manage', 'billing:read', 'pool:manage',
        'pool:consume', 'usage:write', 'usage:read', 'meters:manage', 'plans:read', 'entitlements:read',
        'entitlements:manage', 'usage_alerts:manage']),
    ('admin', ARRAY[
        'credits:read', 'credits:consume', 'tokens:introspect', 'api_keys:manage', 'organization:read',
        'members:manage', 'audit:read', 'organization:manage', 'billing:read', 'pool:manage', 'pool:consume',
        'usage:write', 'usage:read', 'meters:manage', 'plans:read', 'entitlements:read', 'entitlements:manage',
        'usage_alerts:manage']),
    ('member', ARRAY[
        'credits:read', 'credits:consume', 'api_keys:manage', 'organization:read', 'pool:consume', 'plans:read',
        'entitlements:read']),
    ('platform_admin', ARRAY[
        'credits:read', 'credits:consume', 'credits:grant', 'audit:read_platform', 'users:manage', 'signing_keys:manage',
        'outbox:deliver', 'subscriptions:manage', 'analytics:read', 'metrics:read', 'usage:upkeep', 'plans:read', 'plans:manage',
        'entitlements:grant', 'usage:close', 'retention:purge', 'cache:read', 'cache:manage']);

CREATE TABLE roles (
    organization_id uuid NOT NULL REFERENCES organizations (id),
    -- No built-in role's.
    name            text NOT NULL,
    permissions     text[] NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    -- Serves a role by its name, and the list of an organization's roles.
    PRIMARY KEY (organization_id, name)
);

-- People belong to several organizations or to none, and will be in a database of their
-- own. So what an organization owns has no foreign key to them, but for a membership, which
-- is what joins the two.
CREATE TABLE users (
    id                uuid PRIMARY KEY,
    -- Lower case; the component normalizes before it asks. Its index serves sign-in.
    email             text NOT NULL UNIQUE,
    -- When the user proved that mail to their email reaches them; null until then.
    email_verified_at timestamptz,
    password_hash     text NOT NULL,
    -- Permissions beyond those of the user's memberships, if any.
    platform_role     text,
    -- Devices that they signed in from before are no longer known.
    devices_since     timestamptz NOT NULL DEFAULT '-infinity',
    created_at        timestamptz NOT NULL DEFAULT now(),
    -- When they first signed in. The devices of later logins may be new to them.
    first_login_at    timestamptz,
    disabled_at       timestamptz
);

CREATE TABLE memberships (
    organization_id uuid NOT NULL REFERENCES organizations (id),
    user_id         uuid NOT NULL REFERENCES users (id),
    role            text NOT NULL,
    -- Orders the members of an organization by when they joined.
    sequence        bigint NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    -- Serves the membership of one user.
    PRIMARY KEY (organization_id, user_id)
);

-- Serves the organizations of a user, at sign-in and in their list.
CREATE INDEX memberships_by_user ON memberships (user_id, created_at);
-- Serves the list of members, newest first.
CREATE UNIQUE INDEX memberships_by_sequence ON memberships (organization_id, sequence DESC);
-- Serves the holders of a role, and the owners.
CREATE INDEX memberships_by_role ON memberships (organization_id, role);

CREATE TRIGGER memberships_number BEFORE INSERT ON memberships
    FOR EACH ROW WHEN (NEW.sequence IS NULL) EXECUTE FUNCTION organization_sequence_take();

-- One member is looked up by the primary key, and not among all of the organization.
-- Where most organizations have a single row both seem to cost the same to a plan that is
-- made for any of them, and of some organizations the second reads thousands of rows. So
-- the planner is told to expect several.
ALTER TABLE memberships ALTER COLUMN organization_id SET (n_distinct = -0.1);

CREATE TABLE invitations (
    organization_id uuid NOT NULL REFERENCES organizations (id),
    id              uuid NOT NULL,
    -- Lower case, as users have theirs.
    email           text NOT NULL,
    role            text NOT NULL,
    invited_by      uuid NOT NULL,
    -- The sign-in that invited, with a session or with a key that it had made.
    sign_in_id      uuid,
    -- SHA-256 of the token in the mail, by which an invitation is accepted.
    digest          bytea NOT NULL CHECK (octet_length(digest) = 32),
    created_at      timestamptz NOT NULL DEFAULT now(),
    expires_at      timestamptz NOT NULL,
    accepted_at     timestamptz,
    accepted_by     uuid,
    revoked_at      timestamptz,
    PRIMARY KEY (organization_id, id),
    CONSTRAINT invitations_by_digest UNIQUE (organization_id, digest)
);

-- Serves the end of what a person's sessions left pending.
CREATE INDEX invitations_pending_by_inviter ON invitations (invited_by)
    WHERE accepted_at IS NULL AND revoked_at IS NULL;
-- Serves the list of pending invitations, and allows one for each email. An expired one
-- counts until the next invitation of the organization settles it.
CREATE UNIQUE INDEX invitations_pending ON invitations (organization_id, email)
    WHERE accepted_at IS NULL AND revoked_at IS NULL;

-- As for memberships: one invitation is looked up by its digest, email or id.
ALTER TABLE invitations ALTER COLUMN organization_id SET (n_distinct = -0.1);
