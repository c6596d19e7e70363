-- Grants with a priority, a beginning and an end; holds; refunds; voiding.
--
-- Every function that changes an account locks its row first, and then posts
-- what has fallen due since the last change: grants that have become effective,
-- holds and grants that have expired. So the ledger is exact at every moment at
-- which anybody looks, and no job is needed for it.

ALTER TABLE credit_accounts
    ADD COLUMN pending numeric(27,9) NOT NULL DEFAULT 0 CHECK (pending >= 0),
    -- The earliest moment at which something falls due.
    ADD COLUMN next_due_at timestamptz NOT NULL DEFAULT 'infinity',
    -- When the last transfer came to pass; no later one did before it.
    ADD COLUMN last_occurred_at timestamptz NOT NULL DEFAULT '-infinity',
    DROP CONSTRAINT credit_accounts_balanced,
    ADD CONSTRAINT credit_accounts_balanced CHECK (issued + pending + available + held + consumed + expired = 0);

ALTER TABLE ledger_transfers
    DROP CONSTRAINT ledger_transfers_kind_check,
    ADD CONSTRAINT ledger_transfers_kind_check CHECK (kind IN (
        'grant', 'activate', 'consume', 'expire', 'void', 'refund', 'hold', 'capture', 'release')),
    -- The transfer that a refund gives back.
    ADD COLUMN refunds_id uuid REFERENCES ledger_transfers (id),
    -- When it came to pass: for what fell due, the moment at which it did, which
    -- is before the row was written. Follows the sequence. Rows that are older
    -- than this column have none, and came to pass when they were created.
    ADD COLUMN occurred_at timestamptz,
    -- Nobody asks for what falls due.
    ALTER COLUMN actor_id DROP NOT NULL;

-- Serves "what was refunded of a transaction".
CREATE INDEX ledger_transfers_refunds ON ledger_transfers (refunds_id) WHERE refunds_id IS NOT NULL;
-- Serves the list of an account's transfers of one kind, however rare it is.
CREATE INDEX ledger_transfers_by_kind ON ledger_transfers (account_id, kind, sequence);

CREATE TYPE credit_grant_state AS ENUM ('pending', 'open', 'closed');

CREATE TABLE credit_grants (
    id           uuid PRIMARY KEY,
    account_id   uuid NOT NULL REFERENCES credit_accounts (id),
    -- The account's sequence number of the grant: what "older" means.
    sequence     bigint NOT NULL,
    kind         text NOT NULL CHECK (kind IN ('paid', 'promotional')),
    -- 0 to 100; lower is spent first.
    priority     smallint NOT NULL CHECK (priority BETWEEN 0 AND 100),
    amount       numeric(27,9) NOT NULL CHECK (amount > 0),
    -- What is left to spend or to hold, now or once it is effective.
    remaining    numeric(27,9) NOT NULL CHECK (remaining >= 0),
    -- What open holds have reserved of it.
    held         numeric(27,9) NOT NULL DEFAULT 0 CHECK (held >= 0),
    effective_at timestamptz NOT NULL,
    -- Exclusive; infinity for a grant that does not expire.
    expires_at   timestamptz NOT NULL DEFAULT 'infinity' CHECK (expires_at > effective_at),
    -- 'open' has something left and has begun; 'closed' was spent, voided or has
    -- expired. What a refund or a release gives back opens it again; if it was
    -- voided or has expired, for the moment until that is posted.
    state        credit_grant_state NOT NULL,
    voided_at    timestamptz,
    description  text NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK (remaining + held <= amount)
) WITH (fillfactor = 80);

-- Serves a spend: the order in which grants are taken from. The balance is not
-- in it, so that a spend updates no index.
CREATE INDEX credit_grants_spendable ON credit_grants (account_id, priority, expires_at, sequence) WHERE state = 'open';
-- Serves what falls due.
CREATE INDEX credit_grants_expiring ON credit_grants (account_id, expires_at) WHERE state = 'open' AND expires_at < 'infinity';
CREATE INDEX credit_grants_beginning ON credit_grants (account_id, effective_at) WHERE state = 'pending';
CREATE INDEX credit_grants_returned_to_voided ON credit_grants (account_id)
    WHERE state = 'open' AND voided_at IS NOT NULL;
-- Serves the list of an account's grants, newest first.
CREATE UNIQUE INDEX credit_grants_by_account ON credit_grants (account_id, sequence DESC);

-- Which grants a transfer moved, and how much of each. Append-only.
CREATE TABLE credit_movements (
    transfer_id uuid NOT NULL REFERENCES ledger_transfers (id),
    grant_id    uuid NOT NULL REFERENCES credit_grants (id),
    amount      numeric(27,9) NOT NULL CHECK (amount > 0),
    -- The order in which the grants were taken from.
    position    integer NOT NULL,
    PRIMARY KEY (transfer_id, grant_id)
);
CREATE TRIGGER credit_movements_append_only
    BEFORE UPDATE OR DELETE ON credit_movements
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER credit_movements_no_truncate
    BEFORE TRUNCATE ON credit_movements
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TABLE credit_holds (
    id          uuid PRIMARY KEY,
    account_id  uuid NOT NULL REFERENCES credit_accounts (id),
    amount      numeric(27,9) NOT NULL CHECK (amount > 0),
    state       text NOT NULL CHECK (state IN ('open', 'captured', 'released', 'expired')),
    -- What was spent of it, and beyond it, in the end.
    captured    numeric(27,9) NOT NULL DEFAULT 0 CHECK (captured >= 0),
    expires_at  timestamptz NOT NULL,
    description text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    settled_at  timestamptz
);
CREATE INDEX credit_holds_open ON credit_holds (account_id, expires_at) WHERE state = 'open';

-- What a hold reserves of which grant.
CREATE TABLE credit_hold_parts (
    hold_id  uuid NOT NULL REFERENCES credit_holds (id),
    grant_id uuid NOT NULL REFERENCES credit_grants (id),
    amount   numeric(27,9) NOT NULL CHECK (amount > 0),
    position integer NOT NULL,
    PRIMARY KEY (hold_id, grant_id)
);

-- Before grants were told apart all were alike, so the oldest was spent first:
-- the first credits that came are the first that went. Each grant has the id of
-- its transfer.
CREATE TEMPORARY TABLE earlier_transfers ON COMMIT DROP AS
SELECT id, account_id, sequence, kind, amount, description, created_at,
       sum(amount) OVER preceding - amount AS begins,
       sum(amount) OVER preceding AS ends,
       -- What was spent of the account in all.
       coalesce(sum(amount) FILTER (WHERE kind = 'consume') OVER (PARTITION BY account_id), 0) AS spent
  FROM ledger_transfers
WINDOW preceding AS (PARTITION BY account_id, kind ORDER BY sequence);

INSERT INTO credit_grants (id, account_id, sequence, kind, priority, amount, remaining,
                           effective_at, state, description, created_at)
SELECT id, account_id, sequence, 'paid', 50, amount, least(amount, greatest(ends - spent, 0)), created_at,
       CASE WHEN ends > spent THEN 'open' ELSE 'closed' END::credit_grant_state, description, created_at
  FROM earlier_transfers WHERE kind = 'grant';

INSERT INTO credit_movements (transfer_id, grant_id, amount, position)
SELECT id, id, amount, 1 FROM earlier_transfers WHERE kind = 'grant'
UNION ALL
SELECT c.id, g.id, least(c.ends, g.ends) - greatest(c.begins, g.begins),
       row_number() OVER (PARTITION BY c.id ORDER BY g.sequence)
  FROM earlier_transfers c
  JOIN earlier_transfers g ON g.account_id = c.account_id AND g.begins < c.ends AND c.begins < g.ends
 WHERE c.kind = 'consume' AND g.kind = 'grant';

-- ---------------------------------------------------------------------------
-- The steps that every change is made of. The caller holds the account's row
-- and hands it on, so that its balances are read and written once.
-- ---------------------------------------------------------------------------

-- Moves an amount between two buckets of a locked account: the account's row,
-- and one line of the ledger. It came to pass now, or when p_occurred_at says,
-- and not before what the account has seen already.
CREATE FUNCTION ledger_post(
    p_account credit_accounts, p_transfer_id uuid, p_kind text, p_debited credit_bucket, p_credited credit_bucket,
    p_amount numeric, p_description text, p_actor_id uuid,
    p_occurred_at timestamptz DEFAULT NULL, p_refunds_id uuid DEFAULT NULL,
    OUT account credit_accounts, OUT transfer ledger_transfers
)
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE credit_accounts SET
        issued    = issued    + p_amount * ((p_credited = 'issued')::integer - (p_debited = 'issued')::integer),
        pending   = pending   + p_amount * ((p_credited = 'pending')::integer - (p_debited = 'pending')::integer),
        available = available + p_amount * ((p_credited = 'available')::integer - (p_debited = 'available')::integer),
        held      = held      + p_amount * ((p_credited = 'held')::integer - (p_debited = 'held')::integer),
        consumed  = consumed  + p_amount * ((p_credited = 'consumed')::integer - (p_debited = 'consumed')::integer),
        expired   = expired   + p_amount * ((p_credited = 'expired')::integer - (p_debited = 'expired')::integer),
        sequence  = sequence + 1,
        last_occurred_at = greatest(last_occurred_at, coalesce(p_occurred_at, clock_timestamp()))
     WHERE id = p_account.id
    RETURNING * INTO account;
    INSERT INTO ledger_transfers
        (id, account_id, sequence, kind, debited, credited, amount, available_after, description, actor_id,
         occurred_at, refunds_id)
    VALUES (p_transfer_id, account.id, account.sequence, p_kind, p_debited, p_credited, p_amount, account.available,
            p_description, p_actor_id, account.last_occurred_at, p_refunds_id)
    RETURNING * INTO transfer;
END;
$$;

-- Takes an amount out of the account's open grants, in the order in which they
-- are spent: lowest priority, then earliest expiry, then oldest. p_held says
-- whether it stays with them as held. The caller has seen that there is enough.
CREATE FUNCTION grants_take(p_account_id uuid, p_amount numeric, p_is_hold boolean)
RETURNS TABLE (grant_id uuid, amount numeric, part integer)
LANGUAGE plpgsql AS $$
DECLARE
    v_left numeric := p_amount;
    v_grant record;
    v_part numeric;
    v_position integer := 0;
BEGIN
    FOR v_grant IN
        SELECT g.id, g.remaining, g.held FROM credit_grants g
         WHERE g.account_id = p_account_id AND g.state = 'open'
         ORDER BY g.priority, g.expires_at, g.sequence
    LOOP
        EXIT WHEN v_left <= 0;
        v_part := least(v_left, v_grant.remaining);
        UPDATE credit_grants g
           SET remaining = g.remaining - v_part,
               held = g.held + CASE WHEN p_is_hold THEN v_part ELSE 0 END,
               state = CASE WHEN g.remaining = v_part THEN 'closed' ELSE 'open' END::credit_grant_state
         WHERE g.id = v_grant.id;
        v_left := v_left - v_part;
        v_position := v_position + 1;
        grant_id := v_grant.id;
        amount := v_part;
        part := v_position;
        RETURN NEXT;
    END LOOP;
    IF v_left > 0 THEN
        RAISE EXCEPTION 'account % has % less in its grants than its balance says', p_account_id, v_left
              USING ERRCODE = 'TP003';
    END IF;
END;
$$;

-- Puts an amount back into a grant, which may open it again.
CREATE FUNCTION grant_return(p_grant_id uuid, p_amount numeric, p_from_hold boolean) RETURNS void
LANGUAGE sql AS $$
    UPDATE credit_grants
       SET remaining = remaining + p_amount,
           held = held - CASE WHEN p_from_hold THEN p_amount ELSE 0 END,
           state = 'open'
     WHERE id = p_grant_id
$$;

-- The earliest moment at which something of the account falls due.
CREATE FUNCTION account_next_due(p_account_id uuid) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
    SELECT least(
        (SELECT min(effective_at) FROM credit_grants WHERE account_id = p_account_id AND state = 'pending'),
        (SELECT min(expires_at) FROM credit_grants
          WHERE account_id = p_account_id AND state = 'open' AND expires_at < 'infinity'),
        (SELECT min(expires_at) FROM credit_holds WHERE account_id = p_account_id AND state = 'open'),
        (SELECT min(voided_at) FROM credit_grants
          WHERE account_id = p_account_id AND state = 'open' AND voided_at IS NOT NULL),
        'infinity')
$$;

-- Gives a hold's parts back to their grants, from the last one taken, until
-- p_amount is returned; the rest of each part is left for the caller.
CREATE FUNCTION hold_parts_return(p_hold_id uuid, p_transfer_id uuid, p_amount numeric) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_left numeric := p_amount;
    v_part record;
    v_return numeric;
BEGIN
    FOR v_part IN SELECT * FROM credit_hold_parts WHERE hold_id = p_hold_id ORDER BY position DESC LOOP
        EXIT WHEN v_left <= 0;
        v_return := least(v_left, v_part.amount);
        PERFORM grant_return(v_part.grant_id, v_return, true);
        INSERT INTO credit_movements (transfer_id, grant_id, amount, position)
        VALUES (p_transfer_id, v_part.grant_id, v_return, v_part.position);
        v_left := v_left - v_return;
    END LOOP;
END;
$$;

-- A UUID of version 7, for what no component drew an id for: 48 bits of time
-- in milliseconds before the random ones, and version 7 for their 4.
CREATE FUNCTION time_ordered_id() RETURNS uuid
LANGUAGE sql VOLATILE
RETURN encode(
    set_bit(set_bit(overlay(
        uuid_send(gen_random_uuid()) PLACING substring(int8send(unix_millis(clock_timestamp())) FROM 3) FROM 1 FOR 6),
        52, 1), 53, 1), 'hex')::uuid;

-- Posts everything that has fallen due on a locked account, in the order in
-- which it did. What a lapsed hold gives back to a grant that has lapsed too
-- expires with it, in the next turn of the loop; what comes back to a voided
-- grant is voided.
CREATE FUNCTION account_settle(p_account credit_accounts, p_now timestamptz) RETURNS credit_accounts
LANGUAGE plpgsql AS $$
DECLARE
    v_account credit_accounts := p_account;
    v_due record;
    v_post record;
    v_id uuid;
BEGIN
    LOOP
        -- Each branch reads one row of its index, however much is due.
        SELECT * INTO v_due FROM (
            (SELECT 'activate' AS kind, 'effective' AS description, id, effective_at AS due_at, remaining AS amount, 1 AS rank
               FROM credit_grants WHERE account_id = v_account.id AND state = 'pending' AND effective_at <= p_now
              ORDER BY effective_at LIMIT 1)
            UNION ALL
            (SELECT 'release', 'hold expired', id, expires_at, amount, 2
               FROM credit_holds WHERE account_id = v_account.id AND state = 'open' AND expires_at <= p_now
              ORDER BY expires_at LIMIT 1)
            UNION ALL
            (SELECT 'void', 'void', id, voided_at, remaining, 3
               FROM credit_grants WHERE account_id = v_account.id AND state = 'open' AND voided_at IS NOT NULL
              LIMIT 1)
            UNION ALL
            (SELECT 'expire', 'expired', id, expires_at, remaining, 4
               FROM credit_grants
              WHERE account_id = v_account.id AND state = 'open' AND expires_at < 'infinity' AND expires_at <= p_now
              ORDER BY expires_at LIMIT 1)
        ) due ORDER BY due_at, rank LIMIT 1;
        EXIT WHEN NOT FOUND;
        v_id := time_ordered_id();
        v_post := ledger_post(
            v_account, v_id, v_due.kind,
            CASE v_due.kind WHEN 'activate' THEN 'pending' WHEN 'release' THEN 'held' ELSE 'available' END::credit_bucket,
            CASE v_due.kind WHEN 'void' THEN 'issued' WHEN 'expire' THEN 'expired' ELSE 'available' END::credit_bucket,
            v_due.amount, v_due.description, NULL, v_due.due_at);
        v_account := v_post.account;
        IF v_due.kind = 'release' THEN
            UPDATE credit_holds SET state = 'expired', settled_at = v_due.due_at WHERE id = v_due.id;
            PERFORM hold_parts_return(v_due.id, v_id, v_due.amount);
        ELSE
            UPDATE credit_grants
               SET state = CASE v_due.kind WHEN 'activate' THEN 'open' ELSE 'closed' END::credit_grant_state,
                   remaining = CASE v_due.kind WHEN 'activate' THEN remaining ELSE 0 END
             WHERE id = v_due.id;
            INSERT INTO credit_movements VALUES (v_id, v_due.id, v_due.amount, 1);
        END IF;
    END LOOP;
    UPDATE credit_accounts SET next_due_at = account_next_due(id) WHERE id = v_account.id RETURNING * INTO v_account;
    RETURN v_account;
END;
$$;

-- Locks a user's account in one currency and posts what has fallen due; null if
-- there is none.
CREATE FUNCTION account_hold_row(p_user_id uuid, p_currency text) RETURNS credit_accounts
LANGUAGE plpgsql AS $$
DECLARE
    v_account credit_accounts;
BEGIN
    SELECT * INTO v_account FROM credit_accounts
     WHERE user_id = p_user_id AND currency = p_currency
       FOR NO KEY UPDATE;
    -- The clock, and not the transaction's start, which may be before the last
    -- holder of the row ended.
    IF v_account.next_due_at <= clock_timestamp() THEN
        v_account := account_settle(v_account, clock_timestamp());
    END IF;
    RETURN v_account;
END;
$$;

-- A transfer as the API shows it: signed by its effect on what is available, or,
-- where it has none, by whether the credits come to the user or leave them.
CREATE OR REPLACE FUNCTION transfer_json(p_transfer ledger_transfers, p_currency text) RETURNS json
LANGUAGE sql STABLE PARALLEL SAFE
RETURN json_build_object(
    'id', prefixed_id('ctx_', (p_transfer).id),
    'kind', (p_transfer).kind,
    'amount', CASE WHEN (p_transfer).credited IN ('available', 'pending')
                   THEN (p_transfer).amount ELSE -(p_transfer).amount END::text,
    'available_after', (p_transfer).available_after::text,
    'debited', (p_transfer).debited,
    'credited', (p_transfer).credited,
    'currency', p_currency,
    'description', (p_transfer).description,
    'occurred_at', rfc3339(coalesce((p_transfer).occurred_at, (p_transfer).created_at)),
    'created_at', rfc3339((p_transfer).created_at));

-- ---------------------------------------------------------------------------
-- What the routes call.
-- ---------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION credits_consume(
    p_digest bytea, p_key text, p_request_digest bytea, p_transfer_id uuid,
    p_currency text, p_amount numeric, p_description text
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_answer json := refusal(v_principal, 'credits:consume');
    v_account credit_accounts;
    v_post record;
BEGIN
    IF v_answer IS NOT NULL THEN
        RETURN v_answer;
    END IF;
    v_account := account_hold_row(v_principal.user_id, p_currency);
    v_answer := idempotent_answer(v_principal.user_id, p_key, p_request_digest);
    IF v_answer IS NOT NULL THEN
        RETURN v_answer;
    END IF;
    IF v_account.id IS NULL OR v_account.available < p_amount THEN
        v_answer := json_build_object(
            'outcome', 'insufficient_credits',
            'available', coalesce(v_account.available, 0)::text,
            'currency', p_currency);
    ELSE
        v_post := ledger_post(v_account, p_transfer_id, 'consume', 'available', 'consumed', p_amount,
                              p_description, v_principal.user_id);
        INSERT INTO credit_movements (transfer_id, grant_id, amount, position)
        SELECT p_transfer_id, t.grant_id, t.amount, t.part FROM grants_take(v_account.id, p_amount, false) t;
        v_answer := json_build_object(
            'outcome', 'consumed', 'transaction', transfer_json(v_post.transfer, p_currency));
    END IF;
    INSERT INTO idempotency_keys (actor_id, key, request_digest, answer)
    VALUES (v_principal.user_id, p_key, p_request_digest, v_answer);
    RETURN v_answer;
END;
$$;

-- A grant as the API shows it.
CREATE FUNCTION credit_grant_json(p_grant credit_grants, p_currency text) RETURNS json
LANGUAGE sql STABLE PARALLEL SAFE
RETURN json_build_object(
    'id', prefixed_id('cgr_', (p_grant).id), 'kind', (p_grant).kind, 'priority', (p_grant).priority,
    'state', (p_grant).state,
    'amount', (p_grant).amount::text, 'remaining', (p_grant).remaining::text, 'held', (p_grant).held::text,
    'currency', p_currency, 'description', (p_grant).description,
    'effective_at', rfc3339((p_grant).effective_at),
    'expires_at', CASE WHEN (p_grant).expires_at < 'infinity' THEN rfc3339((p_grant).expires_at) END,
    'voided_at', rfc3339((p_grant).voided_at), 'created_at', rfc3339((p_grant).created_at));

-- The answers that are kept under their keys are in the form of now: a grant as
-- it was when it was made.
UPDATE idempotency_keys k
   SET answer = json_build_object(
           'outcome', 'granted', 'user_id', k.answer -> 'user_id',
           'grant', credit_grant_json(g, k.answer -> 'transaction' ->> 'currency'),
           'transaction', transfer_json(t, k.answer -> 'transaction' ->> 'currency'))
  FROM ledger_transfers t
  JOIN LATERAL (SELECT id, account_id, sequence, kind, priority, amount, amount, held, effective_at, expires_at,
                       'open'::credit_grant_state, voided_at, description, created_at
                  FROM credit_grants WHERE id = t.id) made ON true
  CROSS JOIN LATERAL (SELECT (made.*)::credit_grants AS g) shown
 WHERE k.answer ->> 'outcome' = 'granted'
   AND t.id = substr(k.answer -> 'transaction' ->> 'id', 5)::uuid;
UPDATE idempotency_keys k
   SET answer = json_build_object(
           'outcome', 'consumed', 'transaction', transfer_json(t, k.answer -> 'transaction' ->> 'currency'))
  FROM ledger_transfers t
 WHERE k.answer ->> 'outcome' = 'consumed'
   AND t.id = substr(k.answer -> 'transaction' ->> 'id', 5)::uuid;

-- The most grants that are pending or will expire, and the most open holds, that
-- an account may have. All of them can fall due at the same moment, and are then
-- posted by the next statement that looks, within its time.
CREATE FUNCTION max_due_grants() RETURNS bigint LANGUAGE sql IMMUTABLE RETURN 250;
-- The most open grants in all. A spend can take from every one of them: 5,000
-- at some 75 microseconds each are 0.4 of the 1.5 seconds that a statement has.
CREATE FUNCTION max_open_grants() RETURNS bigint LANGUAGE sql IMMUTABLE RETURN 5000;
CREATE FUNCTION max_open_holds() RETURNS bigint LANGUAGE sql IMMUTABLE RETURN 500;

-- Gives credits to a user, who need not belong to the caller's organization:
-- the permission is the platform's. One that is not yet effective is pending; a
-- time in the past is now.
DROP FUNCTION credits_grant(bytea, text, bytea, uuid, uuid, uuid, text, numeric, text);
CREATE FUNCTION credits_grant(
    p_digest bytea, p_key text, p_request_digest bytea, p_transfer_id uuid, p_account_id uuid, p_grant_id uuid,
    p_user_id uuid, p_currency text, p_amount numeric, p_description text,
    p_kind text DEFAULT 'paid', p_priority integer DEFAULT 50,
    p_effective_at timestamptz DEFAULT NULL, p_expires_at timestamptz DEFAULT NULL
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_answer json := refusal(v_principal, 'credits:grant');
    v_account credit_accounts;
    v_grant credit_grants;
    v_post record;
    v_now timestamptz;
    v_effective_at timestamptz;
    v_is_pending boolean;
BEGIN
    IF v_answer IS NOT NULL THEN
        RETURN v_answer;
    END IF;
    -- Asked again below, under lock; asked here so that a repeated key leaves no
    -- empty account behind.
    v_answer := idempotent_answer(v_principal.user_id, p_key, p_request_digest);
    IF v_answer IS NOT NULL THEN
        RETURN v_answer;
    END IF;
    PERFORM 1 FROM users WHERE id = p_user_id;
    IF NOT FOUND THEN
        RETURN json_build_object('outcome', 'user_not_found');
    END IF;
    INSERT INTO credit_accounts (id, user_id, currency) VALUES (p_account_id, p_user_id, p_currency)
    ON CONFLICT ON CONSTRAINT credit_accounts_by_user DO NOTHING;
    v_account := account_hold_row(p_user_id, p_currency);
    v_answer := idempotent_answer(v_principal.user_id, p_key, p_request_digest);
    IF v_answer IS NOT NULL THEN
        RETURN v_answer;
    END IF;

    v_now := clock_timestamp();
    v_effective_at := greatest(v_now, p_effective_at);
    v_is_pending := v_effective_at > v_now;
    IF p_expires_at <= v_effective_at THEN
        RETURN json_build_object('outcome', 'expires_too_early');
    END IF;
    -- numeric(27,9) holds 18 digits before the point.
    IF p_amount - v_account.issued >= 1e18 THEN
        RETURN json_build_object('outcome', 'balance_limit');
    END IF;
    IF ((v_is_pending OR p_expires_at < 'infinity')
        AND (SELECT count(*) FROM credit_grants
              WHERE account_id = v_account.id AND state = 'open' AND expires_at < 'infinity')
          + (SELECT count(*) FROM credit_grants WHERE account_id = v_account.id AND state = 'pending') >= max_due_grants())
       OR (SELECT count(*) FROM credit_grants WHERE account_id = v_account.id AND state = 'open') >= max_open_grants() THEN
        RETURN json_build_object('outcome', 'too_many_open_grants');
    END IF;
    v_post := ledger_post(v_account, p_transfer_id, 'grant', 'issued',
                          CASE WHEN v_is_pending THEN 'pending' ELSE 'available' END::credit_bucket,
                          p_amount, p_description, v_principal.user_id);
    v_account := v_post.account;
    INSERT INTO credit_grants (id, account_id, sequence, kind, priority, amount, remaining,
                               effective_at, expires_at, state, description)
    VALUES (p_grant_id, v_account.id, v_account.sequence, p_kind, p_priority, p_amount, p_amount,
            v_effective_at, coalesce(p_expires_at, 'infinity'),
            CASE WHEN v_is_pending THEN 'pending' ELSE 'open' END::credit_grant_state, p_description)
    RETURNING * INTO v_grant;
    INSERT INTO credit_movements VALUES (p_transfer_id, p_grant_id, p_amount, 1);
    UPDATE credit_accounts
       SET next_due_at = CASE WHEN v_is_pending THEN v_grant.effective_at ELSE v_grant.expires_at END
     WHERE id = v_account.id
       AND next_due_at > CASE WHEN v_is_pending THEN v_grant.effective_at ELSE v_grant.expires_at END;
    v_answer := json_build_object(
        'outcome', 'granted',
        'user_id', prefixed_id('usr_', p_user_id),
        'grant', credit_grant_json(v_grant, p_currency),
        'transaction', transfer_json(v_post.transfer, p_currency));
    INSERT INTO idempotency_keys (actor_id, key, request_digest, answer)
    VALUES (v_principal.user_id, p_key, p_request_digest, v_answer);
    RETURN v_answer;
END;
$$;

-- Locks the account that a row belongs to, posts what has fallen due, and
-- returns it; null for an unknown row.
CREATE FUNCTION account_hold_by_id(p_account_id uuid) RETURNS credit_accounts
LANGUAGE plpgsql AS $$
DECLARE
    v_account credit_accounts;
BEGIN
    SELECT * INTO v_account FROM credit_accounts WHERE id = p_account_id FOR NO KEY UPDATE;
    IF v_account.next_due_at <= clock_timestamp() THEN
        v_account := account_settle(v_account, clock_timestamp());
    END IF;
    RETURN v_account;
END;
$$;

-- Whose credits a grant, or a transaction that spent some, belongs to: told to
-- whoever may change it, so that they can say beforehand whose balance they are
-- about to change. An account never changes its user.
CREATE FUNCTION credits_owner(p_digest bytea, p_grant_id uuid, p_transfer_id uuid) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'credits:grant');
    v_account_id uuid;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    IF p_grant_id IS NOT NULL THEN
        SELECT account_id INTO v_account_id FROM credit_grants WHERE id = p_grant_id;
    ELSE
        SELECT account_id INTO v_account_id FROM ledger_transfers WHERE id = p_transfer_id;
    END IF;
    IF v_account_id IS NULL THEN
        RETURN json_build_object('outcome', 'not_found');
    END IF;
    RETURN json_build_object('outcome', 'owned', 'user_id', prefixed_id('usr_', (
        SELECT user_id FROM credit_accounts WHERE id = v_account_id)));
END;
$$;

-- Takes back what is left of a grant, and not what is held or was spent; what
-- comes back to it later is taken back then.
CREATE FUNCTION credits_grant_void(
    p_digest bytea, p_key text, p_request_digest bytea, p_transfer_id uuid, p_grant_id uuid
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_answer json := refusal(v_principal, 'credits:grant');
    v_account credit_accounts;
    v_grant credit_grants;
    v_post record;
BEGIN
    IF v_answer IS NOT NULL THEN
        RETURN v_answer;
    END IF;
    v_account := account_hold_by_id((SELECT account_id FROM credit_grants WHERE id = p_grant_id));
    v_answer := idempotent_answer(v_principal.user_id, p_key, p_request_digest);
    IF v_answer IS NOT NULL THEN
        RETURN v_answer;
    END IF;
    SELECT * INTO v_grant FROM credit_grants WHERE id = p_grant_id;
    IF NOT FOUND THEN
        RETURN json_build_object('outcome', 'not_found');
    END IF;
    IF v_grant.remaining = 0 THEN
        RETURN json_build_object('outcome', 'nothing_left');
    END IF;
    v_post := ledger_post(v_account, p_transfer_id, 'void',
                          CASE v_grant.state WHEN 'pending' THEN 'pending' ELSE 'available' END::credit_bucket, 'issued',
                          v_grant.remaining, 'void', v_principal.user_id);
    INSERT INTO credit_movements VALUES (p_transfer_id, p_grant_id, v_grant.remaining, 1);
    UPDATE credit_grants SET remaining = 0, state = 'closed', voided_at = clock_timestamp()
     WHERE id = p_grant_id RETURNING * INTO v_grant;
    v_answer := json_build_object(
        'outcome', 'voided',
        'grant', credit_grant_json(v_grant, v_account.currency),
        'user_id', prefixed_id('usr_', v_account.user_id),
        'transaction', transfer_json(v_post.transfer, v_account.currency));
    INSERT INTO idempotency_keys (actor_id, key, request_digest, answer)
    VALUES (v_principal.user_id, p_key, p_request_digest, v_answer);
    RETURN v_answer;
END;
$$;

-- Gives back what a transaction consumed, in whole or in part, to the grants it
-- took from: to the last one first, so that what was spent first stays spent.
-- What goes back to a grant that has expired or was voided goes its way at once.
-- Without an amount it is all that was not refunded yet.
CREATE FUNCTION credits_refund(
    p_digest bytea, p_key text, p_request_digest bytea, p_transfer_id uuid, p_consumed_id uuid,
    p_amount numeric DEFAULT NULL, p_currency text DEFAULT NULL
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_answer json := refusal(v_principal, 'credits:grant');
    v_account credit_accounts;
    v_consumed ledger_transfers;
    v_refundable numeric;
    v_left numeric;
    v_part record;
    v_return numeric;
    v_post record;
BEGIN
    IF v_answer IS NOT NULL THEN
        RETURN v_answer;
    END IF;
    v_account := account_hold_by_id((SELECT account_id FROM ledger_transfers WHERE id = p_consumed_id));
    v_answer := idempotent_answer(v_principal.user_id, p_key, p_request_digest);
    IF v_answer IS NOT NULL THEN
        RETURN v_answer;
    END IF;
    SELECT * INTO v_consumed FROM ledger_transfers WHERE id = p_consumed_id AND credited = 'consumed';
    IF NOT FOUND THEN
        RETURN json_build_object('outcome', 'not_found');
    END IF;
    IF p_currency <> v_account.currency THEN
        RETURN json_build_object('outcome', 'currency_mismatch', 'currency', v_account.currency);
    END IF;
    v_refundable := v_consumed.amount - coalesce(
        (SELECT sum(amount) FROM ledger_transfers WHERE refunds_id = p_consumed_id), 0);
    v_left := coalesce(p_amount, v_refundable);
    IF v_left > v_refundable OR v_left = 0 THEN
        RETURN json_build_object('outcome', 'exceeds_refundable', 'refundable', v_refundable::text,
                                 'currency', v_account.currency);
    END IF;
    v_post := ledger_post(v_account, p_transfer_id, 'refund', 'consumed', 'available', v_left,
                          'refund', v_principal.user_id, NULL, p_consumed_id);
    v_account := v_post.account;
    FOR v_part IN
        SELECT m.grant_id, m.position, m.amount - coalesce((
                   SELECT sum(r.amount) FROM credit_movements r JOIN ledger_transfers t ON t.id = r.transfer_id
                    WHERE t.refunds_id = p_consumed_id AND r.grant_id = m.grant_id), 0) AS amount
          FROM credit_movements m WHERE m.transfer_id = p_consumed_id
         ORDER BY m.position DESC
    LOOP
        v_return := least(v_left, v_part.amount);
        CONTINUE WHEN v_return <= 0;
        PERFORM grant_return(v_part.grant_id, v_return, false);
        INSERT INTO credit_movements VALUES (p_transfer_id, v_part.grant_id, v_return, v_part.position);
        v_left := v_left - v_return;
    END LOOP;
    IF v_left > 0 THEN
        RAISE EXCEPTION 'transaction % has fewer movements than its amount', p_consumed_id USING ERRCODE = 'TP003';
    END IF;
    v_account := account_settle(v_account, clock_timestamp());
    v_answer := json_build_object(
        'outcome', 'refunded',
        'user_id', prefixed_id('usr_', v_account.user_id),
        'transaction', transfer_json(v_post.transfer, v_account.currency));
    INSERT INTO idempotency_keys (actor_id, key, request_digest, answer)
    VALUES (v_principal.user_id, p_key, p_request_digest, v_answer);
    RETURN v_answer;
END;
$$;

-- A hold as the API shows it.
CREATE FUNCTION credit_hold_json(p_hold credit_holds, p_currency text) RETURNS json
LANGUAGE sql STABLE PARALLEL SAFE
RETURN json_build_object(
    'id', prefixed_id('hld_', (p_hold).id), 'state', (p_hold).state, 'amount', (p_hold).amount::text,
    'captured', (p_hold).captured::text, 'currency', p_currency, 'description', (p_hold).description,
    'expires_at', rfc3339((p_hold).expires_at), 'created_at', rfc3339((p_hold).created_at),
    'settled_at', rfc3339((p_hold).settled_at));

-- Reserves credits of the token's user until they are captured, released, or
-- the hold expires.
CREATE FUNCTION credits_hold(
    p_digest bytea, p_key text, p_request_digest bytea, p_transfer_id uuid, p_hold_id uuid,
    p_currency text, p_amount numeric, p_description text, p_ttl_secs integer
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_answer json := refusal(v_principal, 'credits:consume');
    v_account credit_accounts;
    v_hold credit_holds;
    v_post record;
BEGIN
    IF v_answer IS NOT NULL THEN
        RETURN v_answer;
    END IF;
    v_account := account_hold_row(v_principal.user_id, p_currency);
    v_answer := idempotent_answer(v_principal.user_id, p_key, p_request_digest);
    IF v_answer IS NOT NULL THEN
        RETURN v_answer;
    END IF;
    IF v_account.id IS NULL OR v_account.available < p_amount THEN
        v_answer := json_build_object('outcome', 'insufficient_credits',
                                      'available', coalesce(v_account.available, 0)::text, 'currency', p_currency);
    ELSIF (SELECT count(*) FROM (SELECT 1 FROM credit_holds WHERE account_id = v_account.id AND state = 'open'
                                  LIMIT max_open_holds()) open_holds) >= max_open_holds() THEN
        RETURN json_build_object('outcome', 'too_many_open_holds');
    ELSE
        v_post := ledger_post(v_account, p_transfer_id, 'hold', 'available', 'held', p_amount,
                              p_description, v_principal.user_id);
        INSERT INTO credit_holds (id, account_id, amount, state, expires_at, description)
        VALUES (p_hold_id, v_account.id, p_amount, 'open',
                clock_timestamp() + make_interval(secs => p_ttl_secs), p_description)
        RETURNING * INTO v_hold;
        WITH taken AS (
            SELECT * FROM grants_take(v_account.id, p_amount, true)
        ), parts AS (
            INSERT INTO credit_hold_parts (hold_id, grant_id, amount, position)
            SELECT p_hold_id, t.grant_id, t.amount, t.part FROM taken t
        )
        INSERT INTO credit_movements (transfer_id, grant_id, amount, position)
        SELECT p_transfer_id, t.grant_id, t.amount, t.part FROM taken t;
        UPDATE credit_accounts SET next_due_at = v_hold.expires_at
         WHERE id = v_account.id AND next_due_at > v_hold.expires_at;
        v_answer := json_build_object('outcome', 'held', 'hold', credit_hold_json(v_hold, p_currency),
                                      'transaction', transfer_json(v_post.transfer, p_currency));
    END IF;
    INSERT INTO idempotency_keys (actor_id, key, request_digest, answer)
    VALUES (v_principal.user_id, p_key, p_request_digest, v_answer);
    RETURN v_answer;
END;
$$;

-- Settles a hold at the true cost: p_amount is spent and the rest of the hold
-- released; null releases it whole. What the cost exceeds the hold by is spent
-- like any other credits, and if they do not suffice nothing is captured and the
-- hold stays open.
CREATE FUNCTION credits_hold_settle(
    p_digest bytea, p_key text, p_request_digest bytea, p_hold_id uuid, p_amount numeric, p_currency text,
    p_capture_id uuid, p_release_id uuid, p_excess_id uuid
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_answer json := refusal(v_principal, 'credits:consume');
    v_amount numeric := coalesce(p_amount, 0);
    v_account credit_accounts;
    v_hold credit_holds;
    v_post record;
    v_part record;
    v_from_hold numeric;
    v_excess numeric;
    v_left numeric;
    v_take numeric;
    v_transactions json[] := '{}';
BEGIN
    IF v_answer IS NOT NULL THEN
        RETURN v_answer;
    END IF;
    -- Another user's hold is not found.
    v_account := account_hold_by_id((SELECT h.account_id FROM credit_holds h JOIN credit_accounts a ON a.id = h.account_id
                                      WHERE h.id = p_hold_id AND a.user_id = v_principal.user_id));
    v_answer := idempotent_answer(v_principal.user_id, p_key, p_request_digest);
    IF v_answer IS NOT NULL THEN
        RETURN v_answer;
    END IF;
    IF v_account.id IS NULL THEN
        RETURN json_build_object('outcome', 'not_found');
    END IF;
    IF p_currency <> v_account.currency THEN
        RETURN json_build_object('outcome', 'currency_mismatch', 'currency', v_account.currency);
    END IF;
    SELECT * INTO v_hold FROM credit_holds WHERE id = p_hold_id;
    IF v_hold.state <> 'open' THEN
        RETURN json_build_object('outcome', 'hold_not_open', 'state', v_hold.state);
    END IF;
    v_from_hold := least(v_amount, v_hold.amount);
    v_excess := v_amount - v_from_hold;
    IF v_excess > v_account.available THEN
        v_answer := json_build_object('outcome', 'insufficient_credits',
                                      'available', v_account.available::text, 'currency', v_account.currency);
        INSERT INTO idempotency_keys (actor_id, key, request_digest, answer)
        VALUES (v_principal.user_id, p_key, p_request_digest, v_answer);
        RETURN v_answer;
    END IF;
    IF v_from_hold > 0 THEN
        v_post := ledger_post(v_account, p_capture_id, 'capture', 'held', 'consumed', v_from_hold,
                              v_hold.description, v_principal.user_id);
        v_account := v_post.account;
        v_transactions := v_transactions || transfer_json(v_post.transfer, v_account.currency);
        v_left := v_from_hold;
        FOR v_part IN SELECT * FROM credit_hold_parts WHERE hold_id = p_hold_id ORDER BY position LOOP
            EXIT WHEN v_left <= 0;
            v_take := least(v_left, v_part.amount);
            UPDATE credit_grants SET held = held - v_take WHERE id = v_part.grant_id;
            INSERT INTO credit_movements VALUES (p_capture_id, v_part.grant_id, v_take, v_part.position);
            v_left := v_left - v_take;
        END LOOP;
    END IF;
    IF v_from_hold < v_hold.amount THEN
        v_post := ledger_post(v_account, p_release_id, 'release', 'held', 'available', v_hold.amount - v_from_hold,
                              v_hold.description, v_principal.user_id);
        v_account := v_post.account;
        v_transactions := v_transactions || transfer_json(v_post.transfer, v_account.currency);
        PERFORM hold_parts_return(p_hold_id, p_release_id, v_hold.amount - v_from_hold);
    END IF;
    IF v_excess > 0 THEN
        v_post := ledger_post(v_account, p_excess_id, 'consume', 'available', 'consumed', v_excess,
                              v_hold.description, v_principal.user_id);
        v_account := v_post.account;
        v_transactions := v_transactions || transfer_json(v_post.transfer, v_account.currency);
        INSERT INTO credit_movements (transfer_id, grant_id, amount, position)
        SELECT p_excess_id, t.grant_id, t.amount, t.part FROM grants_take(v_account.id, v_excess, false) t;
    END IF;
    UPDATE credit_holds
       SET state = CASE WHEN v_amount > 0 THEN 'captured' ELSE 'released' END,
           captured = v_amount, settled_at = clock_timestamp()
     WHERE id = p_hold_id RETURNING * INTO v_hold;
    -- What was released into a grant that has expired meanwhile expires now.
    v_account := account_settle(v_account, clock_timestamp());
    v_answer := json_build_object('outcome', 'settled', 'hold', credit_hold_json(v_hold, v_account.currency),
                                  'transactions', array_to_json(v_transactions));
    INSERT INTO idempotency_keys (actor_id, key, request_digest, answer)
    VALUES (v_principal.user_id, p_key, p_request_digest, v_answer);
    RETURN v_answer;
END;
$$;

-- The balance of the token's user in one currency; zero before the first grant.
-- What has fallen due is posted first, so that the answer is exact to the
-- moment; it may be kept until the next thing falls due.
CREATE OR REPLACE FUNCTION credits_balance(p_digest bytea, p_currency text) RETURNS json
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'credits:read');
    v_account credit_accounts;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    v_account := account_as_of_now(v_principal.user_id, p_currency);
    RETURN json_build_object(
        'outcome', 'found',
        'token_expires_millis', unix_millis(least(v_principal.expires_at, v_account.next_due_at)),
        'user_id', prefixed_id('usr_', v_principal.user_id),
        'currency', p_currency,
        'available', coalesce(v_account.available, 0)::text,
        'held', coalesce(v_account.held, 0)::text,
        'pending', coalesce(v_account.pending, 0)::text);
END;
$$;

-- A hold of the token's user.
CREATE FUNCTION credits_hold_find(p_digest bytea, p_hold_id uuid) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'credits:consume');
    v_account credit_accounts;
    v_hold credit_holds;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    SELECT a.* INTO v_account FROM credit_holds h JOIN credit_accounts a ON a.id = h.account_id
     WHERE h.id = p_hold_id AND a.user_id = v_principal.user_id;
    IF NOT FOUND THEN
        RETURN json_build_object('outcome', 'not_found');
    END IF;
    IF v_account.next_due_at <= clock_timestamp() THEN
        v_account := account_hold_by_id(v_account.id);
    END IF;
    SELECT * INTO v_hold FROM credit_holds WHERE id = p_hold_id;
    RETURN json_build_object('outcome', 'found', 'hold', credit_hold_json(v_hold, v_account.currency));
END;
$$;

-- The account of a user in one currency as it is at this moment, not locked
-- unless something has fallen due; null if there is none.
CREATE FUNCTION account_as_of_now(p_user_id uuid, p_currency text) RETURNS credit_accounts
LANGUAGE plpgsql AS $$
DECLARE
    v_account credit_accounts;
BEGIN
    SELECT * INTO v_account FROM credit_accounts WHERE user_id = p_user_id AND currency = p_currency;
    IF v_account.next_due_at <= clock_timestamp() THEN
        v_account := account_hold_row(p_user_id, p_currency);
    END IF;
    RETURN v_account;
END;
$$;

-- A page of the user's grants, newest first, and one row more than asked for, by
-- which the caller knows whether there is a next page.
CREATE FUNCTION credits_grants_list(
    p_digest bytea, p_currency text, p_limit integer, p_before bigint
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'credits:read');
    v_account credit_accounts;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    v_account := account_as_of_now(v_principal.user_id, p_currency);
    RETURN json_build_object('outcome', 'found', 'rows', (
        SELECT coalesce(json_agg(json_build_object(
                   'sequence', page.sequence, 'grant', credit_grant_json(page, p_currency))
                   ORDER BY page.sequence DESC), '[]'::json)
          FROM (SELECT * FROM credit_grants
                 WHERE account_id = v_account.id AND sequence < p_before
                 ORDER BY sequence DESC
                 LIMIT p_limit + 1) page));
END;
$$;

-- The first of an account's transfers that came to pass at p_time or later, or
-- the number after its last. Times follow the sequence, which has no gaps, so
-- halving finds it: 20 rows of an index for a million transfers, and no index in
-- time that every spend would have to keep.
CREATE FUNCTION ledger_sequence_at(p_account_id uuid, p_last bigint, p_time timestamptz) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    v_from bigint := 1;
    v_to bigint := p_last + 1;
    v_middle bigint;
    v_occurred_at timestamptz;
BEGIN
    WHILE v_from < v_to LOOP
        v_middle := (v_from + v_to) / 2;
        SELECT coalesce(occurred_at, created_at) INTO v_occurred_at FROM ledger_transfers
         WHERE account_id = p_account_id AND sequence = v_middle;
        IF v_occurred_at >= p_time THEN
            v_to := v_middle;
        ELSE
            v_from := v_middle + 1;
        END IF;
    END LOOP;
    RETURN v_from;
END;
$$;

-- As before, with what has fallen due posted first, and narrowed to a kind and
-- to what came to pass from p_since to before p_until.
DROP FUNCTION credits_transactions(bytea, text, integer, bigint);
CREATE FUNCTION credits_transactions(
    p_digest bytea, p_currency text, p_limit integer, p_before bigint,
    p_kind text DEFAULT NULL, p_since timestamptz DEFAULT NULL, p_until timestamptz DEFAULT NULL
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'credits:read');
    v_account credit_accounts;
    v_from bigint := 0;
    v_before bigint := p_before;
    v_rows json;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    v_account := account_as_of_now(v_principal.user_id, p_currency);
    IF p_since IS NOT NULL THEN
        v_from := ledger_sequence_at(v_account.id, v_account.sequence, p_since);
    END IF;
    IF p_until IS NOT NULL THEN
        v_before := least(p_before, ledger_sequence_at(v_account.id, v_account.sequence, p_until));
    END IF;
    -- A statement for each index.
    IF p_kind IS NULL THEN
        SELECT json_agg(json_build_object('sequence', t.sequence, 'transaction', transfer_json(t, p_currency))
                        ORDER BY t.sequence DESC) INTO v_rows
          FROM (SELECT * FROM ledger_transfers
                 WHERE account_id = v_account.id AND sequence >= v_from AND sequence < v_before
                 ORDER BY sequence DESC LIMIT p_limit + 1) t;
    ELSE
        SELECT json_agg(json_build_object('sequence', t.sequence, 'transaction', transfer_json(t, p_currency))
                        ORDER BY t.sequence DESC) INTO v_rows
          FROM (SELECT * FROM ledger_transfers
                 WHERE account_id = v_account.id AND kind = p_kind AND sequence >= v_from AND sequence < v_before
                 ORDER BY sequence DESC LIMIT p_limit + 1) t;
    END IF;
    RETURN json_build_object('outcome', 'found', 'rows', coalesce(v_rows, '[]'::json));
END;
$$;

-- Every way in which the ledger could be wrong, one row each; none is right.
CREATE OR REPLACE FUNCTION ledger_violations() RETURNS TABLE (account_id uuid, violation text)
LANGUAGE sql STABLE AS $$
    WITH sums AS (
        SELECT e.account_id,
               sum(amount) AS total,
               sum(amount) FILTER (WHERE bucket = 'issued')    AS issued,
               sum(amount) FILTER (WHERE bucket = 'pending')   AS pending,
               sum(amount) FILTER (WHERE bucket = 'available') AS available,
               sum(amount) FILTER (WHERE bucket = 'held')      AS held,
               sum(amount) FILTER (WHERE bucket = 'consumed')  AS consumed,
               sum(amount) FILTER (WHERE bucket = 'expired')   AS expired
          FROM ledger_entries e GROUP BY e.account_id
    ), grants AS (
        SELECT g.account_id,
               coalesce(sum(remaining) FILTER (WHERE state = 'pending'), 0) AS pending,
               coalesce(sum(remaining) FILTER (WHERE state <> 'pending'), 0) AS available,
               coalesce(sum(held), 0) AS held
          FROM credit_grants g GROUP BY g.account_id
    ), moved AS (
        SELECT m.grant_id,
               sum(CASE WHEN t.credited IN ('pending', 'available') THEN m.amount ELSE 0 END)
               - sum(CASE WHEN t.debited IN ('pending', 'available') THEN m.amount ELSE 0 END) AS remaining,
               sum(CASE WHEN t.credited = 'held' THEN m.amount ELSE 0 END)
               - sum(CASE WHEN t.debited = 'held' THEN m.amount ELSE 0 END) AS held
          FROM credit_movements m JOIN ledger_transfers t ON t.id = m.transfer_id GROUP BY m.grant_id
    ), holds AS (
        SELECT h.account_id, sum(h.amount) AS held FROM credit_holds h WHERE h.state = 'open' GROUP BY h.account_id
    )
    SELECT a.id, 'a balance differs from the sum of its entries'
      FROM credit_accounts a LEFT JOIN sums s ON s.account_id = a.id
     WHERE (a.issued, a.pending, a.available, a.held, a.consumed, a.expired)
           IS DISTINCT FROM
           (coalesce(s.issued, 0), coalesce(s.pending, 0), coalesce(s.available, 0), coalesce(s.held, 0),
            coalesce(s.consumed, 0), coalesce(s.expired, 0))
    UNION ALL
    SELECT s.account_id, 'the entries do not sum to zero' FROM sums s WHERE s.total <> 0
    UNION ALL
    SELECT a.id, 'the grants do not add up to the balance'
      FROM credit_accounts a LEFT JOIN grants g ON g.account_id = a.id
     WHERE (a.pending, a.available, a.held)
           IS DISTINCT FROM (coalesce(g.pending, 0), coalesce(g.available, 0), coalesce(g.held, 0))
    UNION ALL
    SELECT a.id, 'the open holds do not add up to what is held'
      FROM credit_accounts a LEFT JOIN holds h ON h.account_id = a.id WHERE a.held <> coalesce(h.held, 0)
    UNION ALL
    SELECT t.account_id, 'a transfer moved other amounts of grants than its own'
      FROM ledger_transfers t
      LEFT JOIN (SELECT transfer_id, sum(amount) AS amount FROM credit_movements GROUP BY transfer_id) m ON m.transfer_id = t.id
     WHERE t.amount <> coalesce(m.amount, 0)
    UNION ALL
    SELECT g.account_id, 'a grant differs from the sum of its movements'
      FROM credit_grants g LEFT JOIN moved m ON m.grant_id = g.id
     WHERE (g.remaining, g.held) IS DISTINCT FROM (m.remaining, m.held)
    UNION ALL
    SELECT a.id, 'transfers are missing or out of sequence'
      FROM credit_accounts a
      LEFT JOIN (SELECT t.account_id, count(*) AS transfers, max(t.sequence) AS last
                   FROM ledger_transfers t GROUP BY t.account_id) t ON t.account_id = a.id
     WHERE a.sequence <> coalesce(t.transfers, 0) OR a.sequence <> coalesce(t.last, 0)
    UNION ALL
    SELECT t.account_id, 'a running balance is wrong'
      FROM (SELECT l.account_id, l.available_after,
                   sum(CASE WHEN l.credited = 'available' THEN l.amount
                            WHEN l.debited = 'available' THEN -l.amount
                            ELSE 0 END)
                       OVER (PARTITION BY l.account_id ORDER BY l.sequence) AS running
              FROM ledger_transfers l) t
     WHERE t.available_after <> t.running
$$;
