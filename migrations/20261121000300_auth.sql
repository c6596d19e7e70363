-- Sign-in: sessions, tokens, API keys, second factors, and the keys that sign JWTs.

-- A session is a token family: a chain of refresh tokens, of which only the last is
-- unspent. It outlives a membership that ended, as a record; authenticate() asks for
-- both, so such a session opens nothing.
--
-- A session acts in one organization, and so do its tokens, which lead to it. Somebody who
-- belongs to none has sessions in no_organization(), a UUID that no organization has. So
-- there is no foreign key to organizations.
CREATE TABLE sessions (
    organization_id   uuid NOT NULL,
    id                uuid NOT NULL,
    user_id           uuid NOT NULL,
    user_agent        text NOT NULL DEFAULT '',
    address           text NOT NULL DEFAULT '',
    -- When the user signed in. A session that moved to another organization keeps it.
    created_at        timestamptz NOT NULL DEFAULT now(),
    last_used_at      timestamptz NOT NULL DEFAULT now(),
    -- When the user last proved who they are; a sensitive change asks for it to be recent.
    authenticated_at  timestamptz NOT NULL DEFAULT now(),
    -- The sign-in that opened it. A session that moves to another organization keeps it, and
    -- whatever is made with the session names it.
    sign_in_id        uuid NOT NULL DEFAULT gen_random_uuid(),
    -- The request that last proved it. It tells a statement that is sent twice from a code
    -- that is used twice.
    authentication_id uuid,
    revoked_at        timestamptz,
    -- The session in another organization that took this one's place when it ended. No
    -- foreign key: the other organization may be in another database.
    successor_organization_id uuid,
    successor_id              uuid,
    PRIMARY KEY (organization_id, id),
    CHECK ((successor_id IS NULL) = (successor_organization_id IS NULL)),
    CHECK (successor_id IS NULL OR revoked_at IS NOT NULL)
);

-- Serves the live sessions of a user.
CREATE INDEX sessions_live_by_user ON sessions (user_id, created_at) WHERE revoked_at IS NULL;
-- Serve the purge: those that ended, and those whose lifetime is over. No refresh changes either.
CREATE INDEX sessions_ended ON sessions (revoked_at) WHERE revoked_at IS NOT NULL;
CREATE INDEX sessions_unended ON sessions (created_at) WHERE revoked_at IS NULL;

CREATE TABLE access_tokens (
    organization_id uuid NOT NULL,
    -- SHA-256 of the token; the token itself is never stored.
    digest          bytea NOT NULL CHECK (octet_length(digest) = 32),
    session_id      uuid NOT NULL,
    expires_at      timestamptz NOT NULL,
    PRIMARY KEY (organization_id, digest),
    FOREIGN KEY (organization_id, session_id) REFERENCES sessions (organization_id, id)
);

-- Serves the end of a session, which ends its tokens. It does not begin with the organization,
-- so that no plan looks among all tokens of one for a digest.
CREATE INDEX access_tokens_by_session ON access_tokens (session_id);
-- Serves the purge.
CREATE INDEX access_tokens_by_expiry ON access_tokens (expires_at);

CREATE TABLE refresh_tokens (
    organization_id uuid NOT NULL,
    digest          bytea NOT NULL CHECK (octet_length(digest) = 32),
    session_id      uuid NOT NULL,
    expires_at      timestamptz NOT NULL,
    -- The digest of the token that replaced it; null while it is unspent.
    successor       bytea CHECK (octet_length(successor) = 32),
    PRIMARY KEY (organization_id, digest),
    FOREIGN KEY (organization_id, session_id) REFERENCES sessions (organization_id, id)
);

-- Serves the list of sessions, which asks of each whether it can still be refreshed: a session that
-- is refreshed every 15 minutes for a month has 2,880 spent tokens and one that is not. And the
-- purge, which deletes no session that a token refers to. With the organization, so that no plan
-- takes the primary key for it and reads all tokens of a large one.
CREATE INDEX refresh_tokens_by_session ON refresh_tokens (organization_id, session_id, successor);
-- Serves the purge.
CREATE INDEX refresh_tokens_by_expiry ON refresh_tokens (expires_at);

-- A user's own keys, for one organization, with part of their permissions.
CREATE TABLE api_keys (
    organization_id uuid NOT NULL REFERENCES organizations (id),
    id              uuid NOT NULL,
    user_id         uuid NOT NULL,
    name            text NOT NULL,
    -- SHA-256 of the key; the key itself is shown once and never stored.
    digest          bytea NOT NULL CHECK (octet_length(digest) = 32),
    -- The digest before the last rotation, which works until it overlaps no more.
    previous_digest bytea CHECK (octet_length(previous_digest) = 32),
    previous_until  timestamptz,
    -- The first characters, by which a person recognises the key.
    hint            text NOT NULL,
    scopes          text[] NOT NULL,
    -- The sign-in whose session, or whose key, drew the secret. It may have ended since.
    sign_in_id      uuid,
    -- The other API keys that drew a secret of this one, by making or rotating it. It ends with
    -- any of them.
    drawn_by        uuid[] NOT NULL DEFAULT '{}',
    expires_at      timestamptz,
    revoked_at      timestamptz,
    created_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, id),
    CONSTRAINT api_keys_by_digest UNIQUE (organization_id, digest),
    CONSTRAINT api_keys_by_previous_digest UNIQUE (organization_id, previous_digest)
);

-- Serves a user's list of keys, newest first.
CREATE INDEX api_keys_by_user ON api_keys (user_id, organization_id, created_at DESC);

-- As for memberships: one session, token or key is looked up by its whole key, and not among all of
-- the organization.
ALTER TABLE sessions ALTER COLUMN organization_id SET (n_distinct = -0.1);
ALTER TABLE access_tokens ALTER COLUMN organization_id SET (n_distinct = -0.1);
ALTER TABLE refresh_tokens ALTER COLUMN organization_id SET (n_distinct = -0.1);
ALTER TABLE api_keys ALTER COLUMN organization_id SET (n_distinct = -0.1);

-- What a valid token or API key stands for. All attributes are null when it is not valid.
-- The organization is null, and there are no permissions, for somebody who belongs to none.
CREATE TYPE principal AS (
    user_id         uuid,
    organization_id uuid,
    session_id      uuid,
    expires_at      timestamptz,
    permissions     text[],
    api_key_id      uuid
);

-- Guesses at passwords and codes, by whoever guesses. A guess is counted before it is
-- verified, and taken back when it was right. The table is not logged: it is written on
-- every sign-in, and a crash costs no more than an hour's counts.
CREATE UNLOGGED TABLE login_attempts (
    -- 'account:', the email, known or not, and the address that guesses at it; 'address:' and
    -- an address for all that failed from it; 'device:' and the id of one that is the user's
    -- own; 'session:' or 'enrolment:', the user, and the sign-in whose sessions guess.
    subject       text PRIMARY KEY,
    failures      integer NOT NULL,
    last_failed   timestamptz NOT NULL,
    -- The newest guess that was counted, by which one that is sent twice is known.
    last_guess_id uuid NOT NULL,
    locked_until  timestamptz
);

-- Serves the sweep of counts that have ended.
CREATE INDEX login_attempts_by_age ON login_attempts (last_failed);

-- The secret that keys are derived from when the variable master_secret is not set. It is
-- drawn here, so that no read has to write it, and as safe as the database is.
CREATE TABLE deployment_secrets (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    secret  bytea NOT NULL CHECK (octet_length(secret) = 32)
);

-- A UUID has 122 random bits.
INSERT INTO deployment_secrets (secret)
VALUES (sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())));

-- A bound on how many passwords one host hashes at once. Instances share no memory, so the
-- bound is kept here, as leases: one that its holder does not give back runs out. The table
-- is not logged, because after a crash nobody is hashing.
CREATE UNLOGGED TABLE hash_leases (
    id         uuid PRIMARY KEY,
    host_id    text NOT NULL,
    -- The client's, as limits count it.
    address    text NOT NULL,
    expires_at timestamptz NOT NULL
);

-- Serves the count of one host's leases.
CREATE INDEX hash_leases_by_host ON hash_leases (host_id, expires_at);

-- One-time codes. The secret is derived from the deployment's own and from the enrolment,
-- and is stored nowhere.
CREATE TABLE totp_enrolments (
    user_id      uuid PRIMARY KEY REFERENCES users (id),
    -- Random bytes that tell this enrolment from the user's next.
    enrolment    bytea NOT NULL CHECK (octet_length(enrolment) = 16),
    -- The sign-in that began it.
    sign_in_id   uuid,
    created_at   timestamptz NOT NULL DEFAULT now(),
    -- When the user showed a first code; null until then, and nothing is asked for at
    -- sign-in.
    confirmed_at timestamptz,
    -- The time step of the newest code that was used. Only a later one is good.
    last_step    bigint NOT NULL DEFAULT 0,
    -- From when on it is off, because the platform removes a factor that was lost; null otherwise.
    removal_due_at timestamptz CHECK (removal_due_at IS NULL OR confirmed_at IS NOT NULL)
);

-- Codes that stand in for a lost authenticator, each of them once.
CREATE TABLE recovery_codes (
    user_id    uuid NOT NULL REFERENCES users (id),
    digest     bytea NOT NULL CHECK (octet_length(digest) = 32),
    -- The sign-in that was shown them.
    sign_in_id uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    used_at    timestamptz,
    PRIMARY KEY (user_id, digest)
);

-- The keys that sign JWTs. A private key is derived from the deployment's secret and the
-- key's id whenever it is needed, and is stored nowhere: what is kept here is which ids
-- sign and which are published, and since when.
CREATE TABLE signing_keys (
    kid        text PRIMARY KEY CHECK (kid ~ '^[A-Za-z0-9_-]{1,64}$'),
    created_at timestamptz NOT NULL DEFAULT now(),
    -- From when on it signs. It is published from the start, so that whoever keeps the
    -- published keys has this one before the first token that it signed.
    signs_from timestamptz NOT NULL,
    -- From when on it is published no more, and what it signed is worth nothing; null while
    -- no end is set. Its successor signs from retired_at - signing_key_tail_interval(), and
    -- it itself no longer.
    retired_at timestamptz
);

-- The first key is there from the start, so that a verifier which starts before the first
-- token has something to hold.
INSERT INTO signing_keys (kid, signs_from) VALUES (replace(gen_random_uuid()::text, '-', ''), now());

-- Serves the key that has no end, and allows only one, so that two rotations at once are
-- one.
CREATE UNIQUE INDEX signing_keys_endless ON signing_keys ((true)) WHERE retired_at IS NULL;
