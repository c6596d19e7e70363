-- Prepaid credits: accounts, the ledger that moves them, grants, holds, the pools of
-- organizations, and idempotency.
--
-- Every function that changes an account locks its row first, and then posts what has
-- fallen due since the last change: grants that have become effective, holds and grants
-- that have expired. Every function that reads one shows the same, and writes nothing. So
-- what anybody sees is exact at every moment, and no job is needed for it.

-- The slot of an organization, or of something that one owns: the last two bytes of the id,
-- which owned_id gives to both.
CREATE FUNCTION id_slot(p_id uuid) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN right(p_id::text, 4);

-- Serves what the platform finds by its id alone: the few organizations of the id's slot, in
-- which it is then found by its primary key. So that a spend need not write an index for it.
CREATE INDEX organizations_by_slot ON organizations (id_slot(id));

-- The answer that was given to a request that moves money, kept in the same transaction as
-- its effect. The row is written once, at the end: whoever loses the race to insert it is
-- rolled back whole, and finds it on a second attempt.
CREATE TABLE idempotency_keys (
    -- The organization of the effect: the one whose credits are moved. For a grant to a person
    -- it is the one that the platform's caller acts in, because which one gets the credits can
    -- change before a retry. No foreign key, which would lock the organization's row for each
    -- spend.
    organization_id uuid NOT NULL,
    -- Whoever sends the request.
    actor_id        uuid NOT NULL,
    key             text NOT NULL,
    -- SHA-256 over method, path and body of the first request.
    request_digest  bytea NOT NULL CHECK (octet_length(request_digest) = 32),
    answer          json NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, actor_id, key)
);

-- Serves the purge. Rows come in the order of their times, so that the end of the index alone is
-- written.
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);

-- Where an account's credits can be. Each is a balance of the double-entry ledger: 'issued'
-- is what Turnpike owes and so is never positive, the others are never negative, and
-- together they are always zero. The contra balances are kept for each account, and not in
-- one row for the whole system, so that two accounts can be charged at once.
CREATE TYPE credit_bucket AS ENUM ('issued', 'pending', 'available', 'held', 'consumed', 'expired');

-- A spend that is asked for, for account_consume to decide on.
CREATE TYPE credit_spend AS (
    -- What it is refused with before any account is looked at; null to go on.
    refusal        json,
    -- Whoever asks for it; null if nobody is known to.
    actor_id       uuid,
    key            text,
    request_digest bytea,
    transfer_id    uuid,
    amount         numeric,
    description    text,
    service        text,
    model          text
);

-- The credits of a person in an organization, or of the organization itself: its pool, which
-- its members share. Whoever leaves an organization leaves their credits there, and finds
-- them again when they come back.
--
-- numeric(27,9) has 18 digits before the point and 9 after it, of the 28 that a Decimal
-- holds. An amount has at most 12 before the point, so an account reaches the bound after a
-- million of the largest grants.
CREATE TABLE credit_accounts (
    organization_id  uuid NOT NULL REFERENCES organizations (id),
    id               uuid NOT NULL,
    -- Null for the pool. No foreign key: people can be in another database.
    user_id          uuid,
    currency         text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    issued           numeric(27,9) NOT NULL DEFAULT 0 CHECK (issued <= 0),
    pending          numeric(27,9) NOT NULL DEFAULT 0 CHECK (pending >= 0),
    available        numeric(27,9) NOT NULL DEFAULT 0 CHECK (available >= 0),
    held             numeric(27,9) NOT NULL DEFAULT 0 CHECK (held >= 0),
    consumed         numeric(27,9) NOT NULL DEFAULT 0 CHECK (consumed >= 0),
    expired          numeric(27,9) NOT NULL DEFAULT 0 CHECK (expired >= 0),
    -- The number of transfers so far; orders them within the account.
    sequence         bigint NOT NULL DEFAULT 0,
    -- The earliest moment at which something falls due.
    next_due_at      timestamptz NOT NULL DEFAULT 'infinity',
    -- When the last transfer came to pass; no later one did before it.
    last_occurred_at timestamptz NOT NULL DEFAULT '-infinity',
    created_at       timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT credit_accounts_balanced CHECK (issued + pending + available + held + consumed + expired = 0),
    PRIMARY KEY (organization_id, id),
    -- Serves the account of a person, and the pool.
    CONSTRAINT credit_accounts_by_owner UNIQUE NULLS NOT DISTINCT (organization_id, user_id, currency)
    -- The fill factor leaves room on the page for the next version of the row, so that a
    -- spend updates no index.
) WITH (fillfactor = 80);

-- As for memberships: one account is looked up by all of its owner.
ALTER TABLE credit_accounts ALTER COLUMN organization_id SET (n_distinct = -0.1);

-- Serves the platform: the accounts of which something has fallen due. A spend does not change
-- next_due_at, and so not the index.
CREATE INDEX credit_accounts_due ON credit_accounts (currency, next_due_at) WHERE next_due_at < 'infinity';

-- One movement of credits: `amount` leaves the debited bucket and arrives in the credited
-- one, so a transfer sums to zero by its form. Append-only.
CREATE TABLE ledger_transfers (
    organization_id uuid NOT NULL,
    id              uuid NOT NULL,
    account_id      uuid NOT NULL,
    sequence        bigint NOT NULL CHECK (sequence > 0),
    kind            text NOT NULL CHECK (kind IN (
                        'grant', 'activate', 'consume', 'expire', 'void', 'refund', 'hold', 'capture', 'release')),
    debited         credit_bucket NOT NULL,
    credited        credit_bucket NOT NULL,
    amount          numeric(27,9) NOT NULL CHECK (amount > 0),
    available_after numeric(27,9) NOT NULL CHECK (available_after >= 0),
    description     text NOT NULL,
    -- Names of what was paid for, if the spender gave any; of a refund, those of what it
    -- gives back.
    service         text CHECK (char_length(service) BETWEEN 1 AND 64),
    model           text CHECK (char_length(model) BETWEEN 1 AND 64),
    -- The transfer that a refund gives back.
    refunds_id      uuid,
    -- Who asked for it. Nobody asks for what falls due.
    actor_id        uuid,
    -- When it came to pass: for what fell due, the moment at which it did, which is before
    -- the row was written. Follows the sequence. Null if it came to pass at created_at.
    occurred_at     timestamptz,
    -- When it came to be: when the account's row was held, and not when its transaction
    -- began, so that times follow the sequence. For what fell due it is occurred_at, so that
    -- a read before the posting shows the same.
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- When the row was written. Not shown: for what fell due it is when it was posted.
    written_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK (debited <> credited),
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, account_id) REFERENCES credit_accounts (organization_id, id),
    FOREIGN KEY (organization_id, refunds_id) REFERENCES ledger_transfers (organization_id, id),
    -- Serves the transactions list, newest first, and makes gaps visible.
    CONSTRAINT ledger_transfers_by_account UNIQUE (organization_id, account_id, sequence)
);

-- Serves what was refunded of a transaction.
CREATE INDEX ledger_transfers_refunds ON ledger_transfers (organization_id, refunds_id)
    WHERE refunds_id IS NOT NULL;
-- Serves the list of an account's transfers of one kind, however rare it is.
CREATE INDEX ledger_transfers_by_kind ON ledger_transfers (organization_id, account_id, kind, sequence);

-- As for memberships: one transfer is looked up by the primary key, and not among all of the
-- organization.
ALTER TABLE ledger_transfers ALTER COLUMN organization_id SET (n_distinct = -0.1);

CREATE TRIGGER ledger_transfers_append_only
    BEFORE UPDATE OR DELETE ON ledger_transfers
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER ledger_transfers_no_truncate
    BEFORE TRUNCATE ON ledger_transfers
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- The ledger as signed entries, two to a transfer: the auditor's view of it.
CREATE VIEW ledger_entries AS
    SELECT organization_id, id AS transfer_id, account_id, debited AS bucket, -amount AS amount FROM ledger_transfers
    UNION ALL
    SELECT organization_id, id, account_id, credited, amount FROM ledger_transfers;

-- Something that has fallen due of an account and is not posted; account_due says what has.
CREATE TYPE credit_due AS (
    -- From 1 on, in the order in which it came to pass.
    number      bigint,
    -- The kind of the transfer: activate, release, void or expire.
    kind        text,
    -- The grant that begins or ends; null for a release.
    grant_id    uuid,
    -- The hold that lapses; null for all but a release.
    hold_id     uuid,
    -- The hold whose lapse it follows at once, if it does.
    cause_id    uuid,
    amount      numeric,
    -- When it fell due.
    due_at      timestamptz,
    -- The same, but not before what came to pass earlier.
    occurred_at timestamptz,
    -- What all of it, until and with this, adds to what is available.
    change      numeric
);

CREATE TYPE credit_grant_state AS ENUM ('pending', 'open', 'closed');

CREATE TABLE credit_grants (
    organization_id uuid NOT NULL,
    id              uuid NOT NULL,
    account_id      uuid NOT NULL,
    -- The account's sequence number of the grant: what "older" means.
    sequence        bigint NOT NULL,
    kind            text NOT NULL CHECK (kind IN ('paid', 'promotional')),
    -- 0 to 100; lower is spent first.
    priority        smallint NOT NULL CHECK (priority BETWEEN 0 AND 100),
    amount          numeric(27,9) NOT NULL CHECK (amount > 0),
    -- What is left to spend or to hold, now or once it is effective.
    remaining       numeric(27,9) NOT NULL CHECK (remaining >= 0),
    -- What open holds have reserved of it.
    held            numeric(27,9) NOT NULL DEFAULT 0 CHECK (held >= 0),
    effective_at    timestamptz NOT NULL,
    -- Exclusive; infinity for a grant that does not expire.
    expires_at      timestamptz NOT NULL DEFAULT 'infinity' CHECK (expires_at > effective_at),
    -- 'open' has something left and has begun; 'closed' was spent, voided or has expired.
    -- What a refund or a release gives back opens it again; if it was voided or has
    -- expired, for the moment until that is posted.
    state           credit_grant_state NOT NULL,
    voided_at       timestamptz,
    description     text NOT NULL,
    -- When the transfer with its sequence number came to pass: so it follows the sequence.
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK (remaining + held <= amount),
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, account_id) REFERENCES credit_accounts (organization_id, id)
    -- As credit_accounts: a spend updates no index.
) WITH (fillfactor = 80);

-- Serves a spend: the order in which grants are taken from. The balance is not in it, so
-- that a spend updates no index.
CREATE INDEX credit_grants_spendable ON credit_grants (organization_id, account_id, priority, expires_at, sequence)
    WHERE state = 'open';
-- Serves what falls due: grants that expire.
CREATE INDEX credit_grants_expiring ON credit_grants (organization_id, account_id, expires_at)
    WHERE state = 'open' AND expires_at < 'infinity';
-- Serves what falls due: grants that become effective.
CREATE INDEX credit_grants_beginning ON credit_grants (organization_id, account_id, effective_at)
    WHERE state = 'pending';
-- Serves what falls due: credits that came back to a voided grant.
CREATE INDEX credit_grants_returned_to_voided ON credit_grants (organization_id, account_id)
    WHERE state = 'open' AND voided_at IS NOT NULL;
-- Serves the list of an account's grants, newest first.
CREATE UNIQUE INDEX credit_grants_by_account ON credit_grants (organization_id, account_id, sequence DESC);

-- As for the transfers.
ALTER TABLE credit_grants ALTER COLUMN organization_id SET (n_distinct = -0.1);

-- Which grants a transfer moved, and how much of each. Append-only.
CREATE TABLE credit_movements (
    organization_id uuid NOT NULL,
    transfer_id     uuid NOT NULL,
    grant_id        uuid NOT NULL,
    amount          numeric(27,9) NOT NULL CHECK (amount > 0),
    -- The order in which the grants were taken from.
    position        integer NOT NULL,
    PRIMARY KEY (organization_id, transfer_id, grant_id),
    FOREIGN KEY (organization_id, transfer_id) REFERENCES ledger_transfers (organization_id, id),
    FOREIGN KEY (organization_id, grant_id) REFERENCES credit_grants (organization_id, id)
);

CREATE TRIGGER credit_movements_append_only
    BEFORE UPDATE OR DELETE ON credit_movements
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER credit_movements_no_truncate
    BEFORE TRUNCATE ON credit_movements
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TABLE credit_holds (
    organization_id uuid NOT NULL,
    id              uuid NOT NULL,
    account_id      uuid NOT NULL,
    amount          numeric(27,9) NOT NULL CHECK (amount > 0),
    state           text NOT NULL CHECK (state IN ('open', 'captured', 'released', 'expired')),
    -- What was spent of it, and beyond it, in the end.
    captured        numeric(27,9) NOT NULL DEFAULT 0 CHECK (captured >= 0),
    expires_at      timestamptz NOT NULL,
    description     text NOT NULL,
    -- Names of what will be paid for, as a transfer has them.
    service         text CHECK (char_length(service) BETWEEN 1 AND 64),
    model           text CHECK (char_length(model) BETWEEN 1 AND 64),
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    settled_at      timestamptz,
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, account_id) REFERENCES credit_accounts (organization_id, id)
);

-- Serves what falls due, and the count of an account's open holds.
CREATE INDEX credit_holds_open ON credit_holds (organization_id, account_id, expires_at) WHERE state = 'open';

-- What a hold reserves of which grant.
CREATE TABLE credit_hold_parts (
    organization_id uuid NOT NULL,
    hold_id         uuid NOT NULL,
    grant_id        uuid NOT NULL,
    amount          numeric(27,9) NOT NULL CHECK (amount > 0),
    position        integer NOT NULL,
    PRIMARY KEY (organization_id, hold_id, grant_id),
    FOREIGN KEY (organization_id, hold_id) REFERENCES credit_holds (organization_id, id),
    FOREIGN KEY (organization_id, grant_id) REFERENCES credit_grants (organization_id, id)
);

-- What an account's spends of a day came to, by their names. Written with each spend,
-- capture and refund, in its transaction and under its lock, so that it is as exact as a
-- balance. A spend of today counts today, and its refund on the day on which that came to
-- pass.
CREATE TABLE credit_usage_daily (
    organization_id uuid NOT NULL,
    account_id      uuid NOT NULL,
    day             date NOT NULL,
    -- Empty for none; ordered by code point, as pages are.
    service         text COLLATE "C" NOT NULL DEFAULT '',
    model           text COLLATE "C" NOT NULL DEFAULT '',
    spent           numeric NOT NULL DEFAULT 0 CHECK (spent >= 0),
    refunded        numeric NOT NULL DEFAULT 0 CHECK (refunded >= 0),
    spends          bigint NOT NULL DEFAULT 0 CHECK (spends >= 0),
    refunds         bigint NOT NULL DEFAULT 0 CHECK (refunds >= 0),
    -- Serves a spend by all of it, and a summary by its beginning and in its order.
    PRIMARY KEY (organization_id, account_id, day, service, model),
    FOREIGN KEY (organization_id, account_id) REFERENCES credit_accounts (organization_id, id)
    -- A day's rows are few, and each is written by every spend of that day.
) WITH (fillfactor = 50);

-- What a member may take of the pool in a period. It is a limit, and reserves nothing:
-- together, limits can exceed the pool.
CREATE TABLE credit_pool_allocations (
    organization_id   uuid NOT NULL,
    user_id           uuid NOT NULL,
    currency          text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    spending_limit    numeric(27,9) NOT NULL CHECK (spending_limit >= 0),
    -- What was taken in the period. It exceeds the limit only where the limit was lowered
    -- since.
    used              numeric(27,9) NOT NULL DEFAULT 0 CHECK (used >= 0),
    reset             text NOT NULL CHECK (reset IN ('never', 'day', 'week', 'month')),
    period_started_at timestamptz NOT NULL,
    -- Exclusive. A period that is over stays here until the next spend or change begins
    -- another: see allocation_as_of.
    period_ends_at    timestamptz NOT NULL CHECK (period_ends_at > period_started_at),
    -- Orders the list.
    sequence          bigint NOT NULL,
    created_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Serves one member's allocation, at each spend.
    PRIMARY KEY (organization_id, user_id, currency),
    -- Whoever is no member has no allocation, even if a row goes by hand.
    FOREIGN KEY (organization_id, user_id) REFERENCES memberships (organization_id, user_id) ON DELETE CASCADE
    -- As credit_accounts: a spend updates no index.
) WITH (fillfactor = 80);

-- Serves the list in all currencies, newest first.
CREATE UNIQUE INDEX credit_pool_allocations_by_sequence ON credit_pool_allocations (organization_id, sequence DESC);
-- Serves the list in one currency, and the sum of what is allocated in it.
CREATE UNIQUE INDEX credit_pool_allocations_by_currency
    ON credit_pool_allocations (organization_id, currency, sequence DESC);

CREATE TRIGGER credit_pool_allocations_number BEFORE INSERT ON credit_pool_allocations
    FOR EACH ROW WHEN (NEW.sequence IS NULL) EXECUTE FUNCTION organization_sequence_take();

-- As for memberships: one member is looked up by the primary key.
ALTER TABLE credit_pool_allocations ALTER COLUMN organization_id SET (n_distinct = -0.1);
