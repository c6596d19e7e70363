-- Prepaid credits: accounts, the ledger that moves them, and idempotency.

-- The answer that was given to a request that moves money, kept in the same
-- transaction as its effect. The row is written once, at the end: whoever loses
-- the race to insert it is rolled back whole, and finds it on a second attempt.
CREATE TABLE idempotency_keys (
    actor_id       uuid NOT NULL,
    key            text NOT NULL,
    -- SHA-256 over method, path and body of the first request.
    request_digest bytea NOT NULL CHECK (octet_length(request_digest) = 32),
    answer         json NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (actor_id, key)
);

-- The answer to a repeated key: the first one, or that the key was reused; null
-- for a key not seen before.
CREATE FUNCTION idempotent_answer(p_actor_id uuid, p_key text, p_request_digest bytea) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_answer json;
BEGIN
    SELECT CASE WHEN request_digest = p_request_digest THEN answer
                ELSE '{"outcome":"idempotency_key_reused"}'::json END
      INTO v_answer
      FROM idempotency_keys
     WHERE actor_id = p_actor_id AND key = p_key;
    RETURN v_answer;
END;
$$;

-- Where an account's credits can be. Each is a balance of the double-entry
-- ledger: 'issued' is what Turnpike owes and so is never positive, the others
-- never negative, and together they are always zero. Keeping the contra
-- balances per account, and not in one row for the whole system, is what lets
-- two accounts be charged at once.
CREATE TYPE credit_bucket AS ENUM ('issued', 'available', 'held', 'consumed', 'expired');

-- numeric(27,9): 18 digits before the point and 9 after it, of the 28 that a
-- Decimal holds. An amount has at most 12 before the point, so an account
-- reaches the bound after a million of the largest grants.
CREATE TABLE credit_accounts (
    id         uuid PRIMARY KEY,
    user_id    uuid NOT NULL REFERENCES users (id),
    currency   text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    issued     numeric(27,9) NOT NULL DEFAULT 0 CHECK (issued <= 0),
    available  numeric(27,9) NOT NULL DEFAULT 0 CHECK (available >= 0),
    held       numeric(27,9) NOT NULL DEFAULT 0 CHECK (held >= 0),
    consumed   numeric(27,9) NOT NULL DEFAULT 0 CHECK (consumed >= 0),
    expired    numeric(27,9) NOT NULL DEFAULT 0 CHECK (expired >= 0),
    -- The number of transfers so far; orders them within the account.
    sequence   bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT credit_accounts_balanced CHECK (issued + available + held + consumed + expired = 0),
    CONSTRAINT credit_accounts_by_user UNIQUE (user_id, currency)
) WITH (fillfactor = 80);
-- The fill factor leaves room on the page for the next version of the row, so
-- that a spend updates no index.

-- One movement of credits: `amount` leaves the debited bucket and arrives in
-- the credited one, so a transfer sums to zero by its form. Append-only.
CREATE TABLE ledger_transfers (
    id              uuid PRIMARY KEY,
    account_id      uuid NOT NULL REFERENCES credit_accounts (id),
    sequence        bigint NOT NULL CHECK (sequence > 0),
    kind            text NOT NULL CHECK (kind IN ('grant', 'consume')),
    debited         credit_bucket NOT NULL,
    credited        credit_bucket NOT NULL,
    amount          numeric(27,9) NOT NULL CHECK (amount > 0),
    available_after numeric(27,9) NOT NULL CHECK (available_after >= 0),
    description     text NOT NULL,
    -- Who asked for it.
    actor_id        uuid NOT NULL,
    -- When the account's row was held, and not when its transaction began, so
    -- that times follow the sequence.
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK (debited <> credited),
    -- Serves the transactions list, newest first, and makes gaps visible.
    CONSTRAINT ledger_transfers_by_account UNIQUE (account_id, sequence)
);

CREATE TRIGGER ledger_transfers_append_only
    BEFORE UPDATE OR DELETE ON ledger_transfers
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER ledger_transfers_no_truncate
    BEFORE TRUNCATE ON ledger_transfers
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- The ledger as signed entries, two to a transfer: the auditor's view of it.
CREATE VIEW ledger_entries AS
    SELECT id AS transfer_id, account_id, debited AS bucket, -amount AS amount FROM ledger_transfers
    UNION ALL
    SELECT id, account_id, credited, amount FROM ledger_transfers;

-- Every way in which the ledger could be wrong, one row each; none is right.
CREATE FUNCTION ledger_violations() RETURNS TABLE (account_id uuid, violation text)
LANGUAGE sql STABLE AS $$
    WITH sums AS (
        SELECT e.account_id,
               sum(amount) AS total,
               sum(amount) FILTER (WHERE bucket = 'issued')    AS issued,
               sum(amount) FILTER (WHERE bucket = 'available') AS available,
               sum(amount) FILTER (WHERE bucket = 'held')      AS held,
               sum(amount) FILTER (WHERE bucket = 'consumed')  AS consumed,
               sum(amount) FILTER (WHERE bucket = 'expired')   AS expired
          FROM ledger_entries e GROUP BY e.account_id
    )
    SELECT a.id, 'a balance differs from the sum of its entries'
      FROM credit_accounts a LEFT JOIN sums s ON s.account_id = a.id
     WHERE (a.issued, a.available, a.held, a.consumed, a.expired)
           IS DISTINCT FROM
           (coalesce(s.issued, 0), coalesce(s.available, 0), coalesce(s.held, 0),
            coalesce(s.consumed, 0), coalesce(s.expired, 0))
    UNION ALL
    SELECT s.account_id, 'the entries do not sum to zero' FROM sums s WHERE s.total <> 0
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

-- A transfer as the API shows it: signed by its effect on what is available.
CREATE FUNCTION transfer_json(p_transfer ledger_transfers, p_currency text) RETURNS json
LANGUAGE sql STABLE PARALLEL SAFE
RETURN json_build_object(
    'id', prefixed_id('ctx_', (p_transfer).id),
    'kind', (p_transfer).kind,
    'amount', CASE WHEN (p_transfer).debited = 'available'
                   THEN -(p_transfer).amount ELSE (p_transfer).amount END::text,
    'available_after', (p_transfer).available_after::text,
    'currency', p_currency,
    'description', (p_transfer).description,
    'created_at', rfc3339((p_transfer).created_at));

-- The balance of the token's user in one currency; zero before the first grant.
CREATE FUNCTION credits_balance(p_digest bytea, p_currency text) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'credits:read');
    v_available numeric;
    v_held numeric;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    SELECT available, held INTO v_available, v_held FROM credit_accounts
     WHERE user_id = v_principal.user_id AND currency = p_currency;
    RETURN json_build_object(
        'outcome', 'found',
        'token_expires_millis', unix_millis(v_principal.expires_at),
        'user_id', prefixed_id('usr_', v_principal.user_id),
        'currency', p_currency,
        'available', coalesce(v_available, 0)::text,
        'held', coalesce(v_held, 0)::text);
END;
$$;

-- Takes credits from the token's user. The account row is locked before
-- anything is decided, so that parallel spends queue and the balance cannot go
-- below zero; a refusal for want of credits is remembered under the key too.
CREATE FUNCTION credits_consume(
    p_digest bytea, p_key text, p_request_digest bytea, p_transfer_id uuid,
    p_currency text, p_amount numeric, p_description text
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_answer json := refusal(v_principal, 'credits:consume');
    v_account credit_accounts;
    v_transfer ledger_transfers;
BEGIN
    IF v_answer IS NOT NULL THEN
        RETURN v_answer;
    END IF;
    SELECT * INTO v_account FROM credit_accounts
     WHERE user_id = v_principal.user_id AND currency = p_currency
       FOR NO KEY UPDATE;
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
        UPDATE credit_accounts
           SET available = available - p_amount,
               consumed = consumed + p_amount,
               sequence = sequence + 1
         WHERE id = v_account.id
        RETURNING * INTO v_account;
        INSERT INTO ledger_transfers
            (id, account_id, sequence, kind, debited, credited, amount, available_after, description, actor_id)
        VALUES (p_transfer_id, v_account.id, v_account.sequence, 'consume', 'available', 'consumed',
                p_amount, v_account.available, p_description, v_principal.user_id)
        RETURNING * INTO v_transfer;
        v_answer := json_build_object(
            'outcome', 'consumed', 'transaction', transfer_json(v_transfer, p_currency));
    END IF;
    INSERT INTO idempotency_keys (actor_id, key, request_digest, answer)
    VALUES (v_principal.user_id, p_key, p_request_digest, v_answer);
    RETURN v_answer;
END;
$$;

-- Gives credits to a user, who need not belong to the caller's organization:
-- the permission is the platform's.
CREATE FUNCTION credits_grant(
    p_digest bytea, p_key text, p_request_digest bytea, p_transfer_id uuid, p_account_id uuid,
    p_user_id uuid, p_currency text, p_amount numeric, p_description text
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_answer json := refusal(v_principal, 'credits:grant');
    v_account credit_accounts;
    v_transfer ledger_transfers;
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
    SELECT * INTO v_account FROM credit_accounts
     WHERE user_id = p_user_id AND currency = p_currency
       FOR NO KEY UPDATE;
    v_answer := idempotent_answer(v_principal.user_id, p_key, p_request_digest);
    IF v_answer IS NOT NULL THEN
        RETURN v_answer;
    END IF;

    -- numeric(27,9) holds 18 digits before the point.
    IF p_amount - v_account.issued >= 1e18 THEN
        RETURN json_build_object('outcome', 'balance_limit');
    END IF;
    UPDATE credit_accounts
       SET issued = issued - p_amount,
           available = available + p_amount,
           sequence = sequence + 1
     WHERE id = v_account.id
    RETURNING * INTO v_account;
    INSERT INTO ledger_transfers
        (id, account_id, sequence, kind, debited, credited, amount, available_after, description, actor_id)
    VALUES (p_transfer_id, v_account.id, v_account.sequence, 'grant', 'issued', 'available',
            p_amount, v_account.available, p_description, v_principal.user_id)
    RETURNING * INTO v_transfer;
    v_answer := json_build_object(
        'outcome', 'granted',
        'user_id', prefixed_id('usr_', p_user_id),
        'transaction', transfer_json(v_transfer, p_currency));
    INSERT INTO idempotency_keys (actor_id, key, request_digest, answer)
    VALUES (v_principal.user_id, p_key, p_request_digest, v_answer);
    RETURN v_answer;
END;
$$;

-- A page of the user's transfers, newest first, and one row more than asked
-- for, by which the caller knows whether there is a next page.
CREATE FUNCTION credits_transactions(
    p_digest bytea, p_currency text, p_limit integer, p_before bigint
) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'credits:read');
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    RETURN json_build_object('outcome', 'found', 'rows', (
        SELECT coalesce(json_agg(json_build_object(
                   'sequence', page.sequence, 'transaction', page.transaction)
                   ORDER BY page.sequence DESC), '[]'::json)
          FROM (SELECT t.sequence, transfer_json(t, a.currency) AS transaction
                  FROM credit_accounts a JOIN ledger_transfers t ON t.account_id = a.id
                 WHERE a.user_id = v_principal.user_id AND a.currency = p_currency
                   AND t.sequence < p_before
                 ORDER BY t.sequence DESC
                 LIMIT p_limit + 1) page));
END;
$$;
