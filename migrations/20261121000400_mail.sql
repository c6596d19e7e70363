-- Mail: messages that wait, tokens that prove an email, and how much mail anyone may cause.

-- A message is written in the transaction that is its reason, and sent afterwards, at least
-- once. Its secret is wiped when it was sent.
CREATE TABLE outbox_messages (
    -- Whose message it is: no_organization() for mail to a person about their own account.
    organization_id uuid NOT NULL,
    id              uuid NOT NULL,
    -- Which text it is; shared::mail has them all.
    kind            text NOT NULL,
    -- Empty for a message to nobody: it is written so that a known and an unknown email
    -- cost the same, and is never sent.
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
    is_sent         boolean NOT NULL DEFAULT false,
    PRIMARY KEY (organization_id, id)
);

-- Serves the sender: what is due, oldest first.
CREATE INDEX outbox_messages_due ON outbox_messages (next_attempt_at) WHERE settled_at IS NULL;
-- Serves the sweep of messages that were settled long ago.
CREATE INDEX outbox_messages_settled ON outbox_messages (settled_at) WHERE settled_at IS NOT NULL;

-- Tokens that are sent by mail, each good for one use.
CREATE TABLE email_tokens (
    -- SHA-256 of the token. A token of a person leads to no organization.
    digest     bytea PRIMARY KEY CHECK (octet_length(digest) = 32),
    -- Null for a token to nobody: it is written so that a known and an unknown email cost
    -- the same. No foreign key, whose check only a known user would pay for.
    user_id    uuid,
    purpose    text NOT NULL CHECK (purpose IN ('verify_email', 'reset_password', 'change_email', 'undo_email_change')),
    -- The email that the token proves, which is the new one for a change, and the one to give
    -- back for its undoing.
    email      text NOT NULL,
    expires_at timestamptz NOT NULL,
    -- The sign-in that asked for it; null when nobody was signed in.
    sign_in_id uuid,
    -- When it was used, replaced by a later one, or ended with what its asker left pending.
    spent_at   timestamptz,
    -- The request that used it, by which that request sent twice is known.
    spent_by   uuid,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- Serves the unspent tokens of a user, which a later one replaces.
CREATE INDEX email_tokens_unspent ON email_tokens (user_id, purpose) WHERE spent_at IS NULL;
-- Serves the emails that nobody else can have while their change can be undone.
CREATE INDEX email_tokens_undo ON email_tokens (email) WHERE purpose = 'undo_email_change' AND spent_at IS NULL;
-- Serves the sweep of what has expired.
CREATE INDEX email_tokens_by_expiry ON email_tokens (expires_at);

-- How much mail a recipient is sent and a client causes within an hour.
CREATE TABLE mail_quota (
    -- 'address:', 'asker:' or 'email:', and then the purpose and who asks, who asks for whom,
    -- or the recipient, known or not.
    subject        text PRIMARY KEY,
    window_started timestamptz NOT NULL,
    sent           integer NOT NULL
);

-- How many notices of a kind a user was sent within the day. There is at most one row for each kind
-- and user, so nothing sweeps them.
CREATE TABLE notice_counts (
    user_id     uuid NOT NULL,
    kind        text NOT NULL,
    day_started timestamptz NOT NULL,
    sent        integer NOT NULL,
    PRIMARY KEY (user_id, kind)
);

-- Serves the sweep of windows that have ended.
CREATE INDEX mail_quota_by_window ON mail_quota (window_started);
