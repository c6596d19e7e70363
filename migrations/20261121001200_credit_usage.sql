-- What credits were spent on: the service and the model of a spend, what each day
-- came to by them, a summary of it, and the whole ledger as a file.

ALTER TABLE ledger_transfers
    -- Names of what was paid for, if the spender gave any; of a refund, those of
    -- what it gives back.
    ADD COLUMN service text CHECK (char_length(service) BETWEEN 1 AND 64),
    ADD COLUMN model text CHECK (char_length(model) BETWEEN 1 AND 64);

ALTER TABLE credit_holds
    ADD COLUMN service text CHECK (char_length(service) BETWEEN 1 AND 64),
    ADD COLUMN model text CHECK (char_length(model) BETWEEN 1 AND 64);

-- The day of UTC on which a moment lies.
CREATE FUNCTION utc_day(p_time timestamptz) RETURNS date
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (p_time AT TIME ZONE 'UTC')::date;

-- What an account's spends of a day came to, by their names. Written with each
-- spend, capture and refund, in its transaction and under its lock, so that it
-- is as exact as a balance. A spend of today counts today, and its refund on the
-- day on which that came to pass.
CREATE TABLE credit_usage_daily (
    account_id uuid NOT NULL REFERENCES credit_accounts (id),
    day        date NOT NULL,
    -- Empty for none; ordered by code point, as pages are.
    service    text COLLATE "C" NOT NULL DEFAULT '',
    model      text COLLATE "C" NOT NULL DEFAULT '',
    spent      numeric NOT NULL DEFAULT 0 CHECK (spent >= 0),
    refunded   numeric NOT NULL DEFAULT 0 CHECK (refunded >= 0),
    spends     bigint NOT NULL DEFAULT 0 CHECK (spends >= 0),
    refunds    bigint NOT NULL DEFAULT 0 CHECK (refunds >= 0),
    -- Serves a spend by all of it, and a summary by its beginning and in its order.
    PRIMARY KEY (account_id, day, service, model)
) WITH (fillfactor = 50);
-- The fill factor leaves room on the page for the next version of a row, so that
-- counting a spend updates no index. A day's rows are few, and each is written
-- by every spend of that day.

INSERT INTO credit_usage_daily (account_id, day, spent, refunded, spends, refunds)
SELECT account_id, utc_day(coalesce(occurred_at, created_at)),
       coalesce(sum(amount) FILTER (WHERE credited = 'consumed'), 0),
       coalesce(sum(amount) FILTER (WHERE debited = 'consumed'), 0),
       count(*) FILTER (WHERE credited = 'consumed'),
       count(*) FILTER (WHERE debited = 'consumed')
  FROM ledger_transfers
 WHERE credited = 'consumed' OR debited = 'consumed'
 GROUP BY 1, 2;

-- The most pairs of names that an account's spends of one day may have. A year
-- of so many is 366,000 rows, which a summary adds up in less than half of the
-- 1.5 seconds that a statement has.
CREATE FUNCTION max_usage_names() RETURNS bigint LANGUAGE sql IMMUTABLE RETURN 1000;

-- Whether a spend of today may have these names: it has none, they are in use
-- today, or there is room for more. Asked before the spend is posted, under the
-- account's lock; a capture is not refused for the names of its hold.
CREATE FUNCTION usage_names_fit(p_account_id uuid, p_service text, p_model text) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    v_today date := utc_day(clock_timestamp());
BEGIN
    IF p_service IS NULL AND p_model IS NULL THEN
        RETURN true;
    END IF;
    PERFORM 1 FROM credit_usage_daily
      WHERE account_id = p_account_id AND day = v_today
        AND service = coalesce(p_service, '') AND model = coalesce(p_model, '');
    RETURN FOUND OR (SELECT count(*) FROM (
        SELECT 1 FROM credit_usage_daily WHERE account_id = p_account_id AND day = v_today
         LIMIT max_usage_names()) names) < max_usage_names();
END;
$$;

DROP FUNCTION ledger_post(credit_accounts, uuid, text, credit_bucket, credit_bucket, numeric, text, uuid, timestamptz, uuid);
-- Moves an amount between two buckets of a locked account: the account's row,
-- and one line of the ledger. It came to pass now, or when p_occurred_at says,
-- and not before what the account has seen already. What is spent, or comes back
-- of it, is counted under its day and names; a refund has the names of what it
-- gives back.
CREATE FUNCTION ledger_post(
    p_account credit_accounts, p_transfer_id uuid, p_kind text, p_debited credit_bucket, p_credited credit_bucket,
    p_amount numeric, p_description text, p_actor_id uuid,
    p_occurred_at timestamptz DEFAULT NULL, p_refunds_id uuid DEFAULT NULL,
    p_service text DEFAULT NULL, p_model text DEFAULT NULL,
    OUT account credit_accounts, OUT transfer ledger_transfers
)
LANGUAGE plpgsql AS $$
BEGIN
    IF p_refunds_id IS NOT NULL THEN
        SELECT t.service, t.model INTO p_service, p_model FROM ledger_transfers t WHERE t.id = p_refunds_id;
    END IF;
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
         occurred_at, refunds_id, service, model)
    VALUES (p_transfer_id, account.id, account.sequence, p_kind, p_debited, p_credited, p_amount, account.available,
            p_description, p_actor_id, account.last_occurred_at, p_refunds_id,
            p_service, p_model)
    RETURNING * INTO transfer;
    IF p_credited = 'consumed' THEN
        INSERT INTO credit_usage_daily AS u (account_id, day, service, model, spent, spends)
        VALUES (account.id, utc_day(account.last_occurred_at), coalesce(p_service, ''), coalesce(p_model, ''),
                p_amount, 1)
        ON CONFLICT ON CONSTRAINT credit_usage_daily_pkey
        DO UPDATE SET spent = u.spent + EXCLUDED.spent, spends = u.spends + 1;
    ELSIF p_debited = 'consumed' THEN
        INSERT INTO credit_usage_daily AS u (account_id, day, service, model, refunded, refunds)
        VALUES (account.id, utc_day(account.last_occurred_at), coalesce(p_service, ''), coalesce(p_model, ''),
                p_amount, 1)
        ON CONFLICT ON CONSTRAINT credit_usage_daily_pkey
        DO UPDATE SET refunded = u.refunded + EXCLUDED.refunded, refunds = u.refunds + 1;
    END IF;
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
    'service', (p_transfer).service,
    'model', (p_transfer).model,
    'occurred_at', rfc3339(coalesce((p_transfer).occurred_at, (p_transfer).created_at)),
    'created_at', rfc3339((p_transfer).created_at));

-- A hold as the API shows it.
CREATE OR REPLACE FUNCTION credit_hold_json(p_hold credit_holds, p_currency text) RETURNS json
LANGUAGE sql STABLE PARALLEL SAFE
RETURN json_build_object(
    'id', prefixed_id('hld_', (p_hold).id), 'state', (p_hold).state, 'amount', (p_hold).amount::text,
    'captured', (p_hold).captured::text, 'currency', p_currency, 'description', (p_hold).description,
    'service', (p_hold).service, 'model', (p_hold).model, 'expires_at', rfc3339((p_hold).expires_at), 'created_at', rfc3339((p_hold).created_at),
    'settled_at', rfc3339((p_hold).settled_at));

-- ---------------------------------------------------------------------------
-- What the routes call.
-- ---------------------------------------------------------------------------

DROP FUNCTION credits_consume(bytea, text, bytea, uuid, text, numeric, text);
CREATE FUNCTION credits_consume(
    p_digest bytea, p_key text, p_request_digest bytea, p_transfer_id uuid,
    p_currency text, p_amount numeric, p_description text,
    p_service text DEFAULT NULL, p_model text DEFAULT NULL
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
    ELSIF NOT usage_names_fit(v_account.id, p_service, p_model) THEN
        RETURN json_build_object('outcome', 'too_many_usage_names');
    ELSE
        v_post := ledger_post(v_account, p_transfer_id, 'consume', 'available', 'consumed', p_amount,
                              p_description, v_principal.user_id, p_service => p_service, p_model => p_model);
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

DROP FUNCTION credits_hold(bytea, text, bytea, uuid, uuid, text, numeric, text, integer);
-- Reserves credits of the token's user until they are captured, released, or
-- the hold expires.
CREATE FUNCTION credits_hold(
    p_digest bytea, p_key text, p_request_digest bytea, p_transfer_id uuid, p_hold_id uuid,
    p_currency text, p_amount numeric, p_description text, p_ttl_secs integer,
    p_service text DEFAULT NULL, p_model text DEFAULT NULL
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
    ELSIF NOT usage_names_fit(v_account.id, p_service, p_model) THEN
        RETURN json_build_object('outcome', 'too_many_usage_names');
    ELSE
        v_post := ledger_post(v_account, p_transfer_id, 'hold', 'available', 'held', p_amount,
                              p_description, v_principal.user_id, p_service => p_service, p_model => p_model);
        INSERT INTO credit_holds (id, account_id, amount, state, expires_at, description, service, model)
        VALUES (p_hold_id, v_account.id, p_amount, 'open',
                clock_timestamp() + make_interval(secs => p_ttl_secs), p_description,
                p_service, p_model)
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
CREATE OR REPLACE FUNCTION credits_hold_settle(
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
                              v_hold.description, v_principal.user_id,
                              p_service => v_hold.service, p_model => v_hold.model);
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
                              v_hold.description, v_principal.user_id,
                              p_service => v_hold.service, p_model => v_hold.model);
        v_account := v_post.account;
        v_transactions := v_transactions || transfer_json(v_post.transfer, v_account.currency);
        PERFORM hold_parts_return(p_hold_id, p_release_id, v_hold.amount - v_from_hold);
    END IF;
    IF v_excess > 0 THEN
        v_post := ledger_post(v_account, p_excess_id, 'consume', 'available', 'consumed', v_excess,
                              v_hold.description, v_principal.user_id,
                              p_service => v_hold.service, p_model => v_hold.model);
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

-- What the token's user has spent from p_since to before p_until: in all, and by
-- the columns of credit_usage_daily that p_by names in their order there. A page
-- of groups in that order, those after p_after_*, and one more than asked for by
-- which the caller knows whether there is a next page. By day alone every day is
-- there, those without usage too.
CREATE FUNCTION credits_usage_summary(
    p_digest bytea, p_currency text, p_since date, p_until date,
    p_by_day boolean, p_by_service boolean, p_by_model boolean, p_limit integer,
    p_after_day date DEFAULT NULL, p_after_service text DEFAULT NULL, p_after_model text DEFAULT NULL
) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'credits:read');
    v_account_id uuid;
    v_first date := p_since;
    -- Names of columns, and never of a client.
    v_columns text := concat_ws(', ', CASE WHEN p_by_day THEN 'day' END,
                                CASE WHEN p_by_service THEN 'service' END, CASE WHEN p_by_model THEN 'model' END);
    v_after text := concat_ws(', ', CASE WHEN p_by_day THEN '$4::date' END,
                              CASE WHEN p_by_service THEN '$5::text' END, CASE WHEN p_by_model THEN '$6::text' END);
    v_has_after boolean := coalesce(p_after_day::text, p_after_service, p_after_model) IS NOT NULL;
    v_total json;
    v_groups json;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    SELECT id INTO v_account_id FROM credit_accounts WHERE user_id = v_principal.user_id AND currency = p_currency;
    SELECT json_build_object('spent', coalesce(sum(spent), 0)::text, 'refunded', coalesce(sum(refunded), 0)::text,
                             'spends', coalesce(sum(spends), 0)::bigint, 'refunds', coalesce(sum(refunds), 0)::bigint)
      INTO v_total
      FROM credit_usage_daily WHERE account_id = v_account_id AND day >= p_since AND day < p_until;
    IF p_by_day AND NOT p_by_service AND NOT p_by_model THEN
        v_first := greatest(p_since, p_after_day + 1);
        SELECT json_agg(json_build_object(
                   'day', to_char(v_first + n, 'YYYY-MM-DD'),
                   'spent', coalesce(u.spent, 0)::text, 'refunded', coalesce(u.refunded, 0)::text,
                   'spends', coalesce(u.spends, 0)::bigint, 'refunds', coalesce(u.refunds, 0)::bigint) ORDER BY n)
          INTO v_groups
          FROM generate_series(0, least(p_limit, p_until - v_first - 1)) n
          LEFT JOIN (SELECT day, sum(spent) AS spent, sum(refunded) AS refunded,
                            sum(spends) AS spends, sum(refunds) AS refunds
                       FROM credit_usage_daily
                      WHERE account_id = v_account_id AND day >= v_first AND day < p_until AND day <= v_first + p_limit
                      GROUP BY day) u ON u.day = v_first + n;
    ELSE
        -- Each grouping is a statement of its own, so that those that begin with
        -- the day read the index in its order, and no further than the page.
        EXECUTE format(
            'SELECT json_agg(json_build_object(
                        ''day'', to_char(%2$s, ''YYYY-MM-DD''), ''service'', %3$s, ''model'', %4$s,
                        ''spent'', spent::text, ''refunded'', refunded::text, ''spends'', spends, ''refunds'', refunds))
               FROM (SELECT %1$s, sum(spent) AS spent, sum(refunded) AS refunded,
                            sum(spends)::bigint AS spends, sum(refunds)::bigint AS refunds
                       FROM credit_usage_daily
                      WHERE account_id = $1 AND day >= $2 AND day < $3 %5$s
                      GROUP BY %1$s ORDER BY %1$s LIMIT $7) g',
            v_columns,
            CASE WHEN p_by_day THEN 'day' ELSE 'NULL::date' END,
            CASE WHEN p_by_service THEN 'service' ELSE 'NULL::text' END,
            CASE WHEN p_by_model THEN 'model' ELSE 'NULL::text' END,
            CASE WHEN v_has_after THEN format('AND (%s) > (%s)', v_columns, v_after) ELSE '' END)
           INTO v_groups
          USING v_account_id, greatest(p_since, p_after_day), p_until,
                p_after_day, p_after_service, p_after_model, p_limit + 1;
    END IF;
    RETURN json_build_object(
        'outcome', 'found', 'token_expires_millis', unix_millis(v_principal.expires_at),
        'total', v_total, 'groups', coalesce(v_groups, '[]'::json));
END;
$$;

-- Transfers of an account below p_before and from p_from on, newest first.
CREATE FUNCTION transfers_page(
    p_account_id uuid, p_currency text, p_kind text, p_from bigint, p_before bigint, p_limit integer
) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_rows json;
BEGIN
    -- A statement for each index.
    IF p_kind IS NULL THEN
        SELECT json_agg(json_build_object('sequence', t.sequence, 'transaction', transfer_json(t, p_currency))
                        ORDER BY t.sequence DESC) INTO v_rows
          FROM (SELECT * FROM ledger_transfers
                 WHERE account_id = p_account_id AND sequence >= p_from AND sequence < p_before
                 ORDER BY sequence DESC LIMIT p_limit) t;
    ELSE
        SELECT json_agg(json_build_object('sequence', t.sequence, 'transaction', transfer_json(t, p_currency))
                        ORDER BY t.sequence DESC) INTO v_rows
          FROM (SELECT * FROM ledger_transfers
                 WHERE account_id = p_account_id AND kind = p_kind AND sequence >= p_from AND sequence < p_before
                 ORDER BY sequence DESC LIMIT p_limit) t;
    END IF;
    RETURN coalesce(v_rows, '[]'::json);
END;
$$;

-- The first page of a ledger that is read to its end, and what the other pages
-- need: the account, and from which transfer on. They are read by transfers_page,
-- because whoever may begin to read may read to the end. What has fallen due is
-- posted first; what comes later has a higher number and is on no page.
CREATE FUNCTION credits_transactions_export(
    p_digest bytea, p_currency text, p_limit integer,
    p_kind text DEFAULT NULL, p_since timestamptz DEFAULT NULL, p_until timestamptz DEFAULT NULL
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'credits:read');
    v_account credit_accounts;
    v_from bigint := 0;
    v_before bigint;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    v_account := account_as_of_now(v_principal.user_id, p_currency);
    v_before := coalesce(v_account.sequence, 0) + 1;
    IF p_since IS NOT NULL THEN
        v_from := ledger_sequence_at(v_account.id, v_account.sequence, p_since);
    END IF;
    IF p_until IS NOT NULL THEN
        v_before := least(v_before, ledger_sequence_at(v_account.id, v_account.sequence, p_until));
    END IF;
    RETURN json_build_object(
        'outcome', 'found',
        'account_id', CASE WHEN v_account.id IS NOT NULL THEN prefixed_id('cac_', v_account.id) END,
        'from', v_from,
        'rows', transfers_page(v_account.id, p_currency, p_kind, v_from, v_before, p_limit));
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
    UNION ALL
    SELECT coalesce(u.account_id, t.account_id), 'the usage of a day differs from its transfers'
      FROM credit_usage_daily u
      FULL JOIN (SELECT l.account_id, utc_day(coalesce(l.occurred_at, l.created_at)) AS day,
                        coalesce(l.service, '') AS service, coalesce(l.model, '') AS model,
                        coalesce(sum(l.amount) FILTER (WHERE l.credited = 'consumed'), 0) AS spent,
                        coalesce(sum(l.amount) FILTER (WHERE l.debited = 'consumed'), 0) AS refunded,
                        count(*) FILTER (WHERE l.credited = 'consumed') AS spends,
                        count(*) FILTER (WHERE l.debited = 'consumed') AS refunds
                   FROM ledger_transfers l
                  WHERE l.credited = 'consumed' OR l.debited = 'consumed'
                  GROUP BY 1, 2, 3, 4) t
             ON (t.account_id, t.day, t.service, t.model) = (u.account_id, u.day, u.service, u.model)
     WHERE (u.spent, u.refunded, u.spends, u.refunds) IS DISTINCT FROM (t.spent, t.refunded, t.spends, t.refunds)
$$;
