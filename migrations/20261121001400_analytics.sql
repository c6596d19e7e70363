-- What the platform has sold, seen spent and owes, and what its subscriptions
-- bring, for those who run it.
--
-- The figures are kept in the transaction of what they count, so that a read
-- adds up rows by the day and never scans the ledger, and so that a read which
-- begins after an answer has the figures of what was answered.

INSERT INTO permissions (name, description, is_platform) VALUES
    ('analytics:read', 'See the figures of the whole platform', true);
UPDATE roles SET permissions = permissions || ARRAY['analytics:read']
 WHERE organization_id IS NULL AND name = 'platform_admin';

-- ---------------------------------------------------------------------------
-- Totals of credits.
-- ---------------------------------------------------------------------------

-- One row for all spends of a day would be locked by each of them until it has
-- committed. With 2,000 spends a second of 2 ms each, 4 are under way at once;
-- on 64 rows one of them finds its row taken in about 4 of 64 cases, and waits
-- for 1 ms on average. So many rows for each day and currency are still few to
-- add up: a month has at most 31 x 64 = 1,984.
--
-- An account always adds to the same shard. Its id is a UUID of version 7,
-- which ends in random bits.
CREATE FUNCTION credit_shard(p_account_id uuid) RETURNS smallint
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN (get_byte(uuid_send(p_account_id), 15) & 63)::smallint;

-- What came to pass on a day, over the accounts of a shard. The sums have no
-- bound of digits, because a spend must not fail for what others have spent.
CREATE TABLE credit_totals_daily (
    currency    text NOT NULL,
    day         date NOT NULL,
    shard       smallint NOT NULL,
    sold        numeric NOT NULL DEFAULT 0,
    promotional numeric NOT NULL DEFAULT 0,
    consumed    numeric NOT NULL DEFAULT 0,
    refunded    numeric NOT NULL DEFAULT 0,
    expired     numeric NOT NULL DEFAULT 0,
    voided      numeric NOT NULL DEFAULT 0,
    -- How many transfers consumed has.
    spends      bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (currency, day, shard)
) WITH (fillfactor = 50);

-- What was granted and is neither spent, nor expired, nor taken back, over the
-- accounts of a shard. It is the sum of all days, kept so that it need not be
-- added up.
CREATE TABLE credit_liabilities (
    currency text NOT NULL,
    shard    smallint NOT NULL,
    amount   numeric NOT NULL,
    PRIMARY KEY (currency, shard)
) WITH (fillfactor = 25);
-- The fill factors leave room on the page for the next versions of a row, so
-- that a spend changes no index.

-- Adds to the totals of an account's shard.
--
-- There is no deadlock over these rows. A transaction changes one account, whose
-- row it has locked first, and so one currency and one shard. The shard's row of
-- credit_liabilities is the first that it takes here, and it keeps it to its end:
-- whoever waits for a row of the shard's days would have waited for that one
-- before, and holds nothing here.
CREATE FUNCTION credit_totals_add(
    p_account_id uuid, p_occurred_at timestamptz, p_liability numeric,
    p_sold numeric, p_promotional numeric, p_consumed numeric, p_refunded numeric, p_expired numeric,
    p_voided numeric, p_spends bigint
) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_shard smallint := credit_shard(p_account_id);
    v_currency text;
BEGIN
    INSERT INTO credit_liabilities AS l (currency, shard, amount)
    SELECT currency, v_shard, p_liability FROM credit_accounts WHERE id = p_account_id
    ON CONFLICT (currency, shard) DO UPDATE SET amount = l.amount + excluded.amount
    RETURNING currency INTO v_currency;
    INSERT INTO credit_totals_daily AS t
        (currency, day, shard, sold, promotional, consumed, refunded, expired, voided, spends)
    VALUES (v_currency, utc_day(p_occurred_at), v_shard,
            p_sold, p_promotional, p_consumed, p_refunded, p_expired, p_voided, p_spends)
    ON CONFLICT (currency, day, shard) DO UPDATE SET
        sold        = t.sold        + excluded.sold,
        promotional = t.promotional + excluded.promotional,
        consumed    = t.consumed    + excluded.consumed,
        refunded    = t.refunded    + excluded.refunded,
        expired     = t.expired     + excluded.expired,
        voided      = t.voided      + excluded.voided,
        spends      = t.spends      + excluded.spends;
END;
$$;

CREATE FUNCTION ledger_transfers_total() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    v_consumed numeric := CASE WHEN NEW.kind IN ('consume', 'capture') THEN NEW.amount ELSE 0 END;
    v_refunded numeric := CASE WHEN NEW.kind = 'refund' THEN NEW.amount ELSE 0 END;
    v_expired  numeric := CASE WHEN NEW.kind = 'expire' THEN NEW.amount ELSE 0 END;
    v_voided   numeric := CASE WHEN NEW.kind = 'void' THEN NEW.amount ELSE 0 END;
BEGIN
    PERFORM credit_totals_add(
        NEW.account_id, coalesce(NEW.occurred_at, NEW.created_at),
        v_refunded - v_consumed - v_expired - v_voided,
        0, 0, v_consumed, v_refunded, v_expired, v_voided, (v_consumed > 0)::integer);
    RETURN NULL;
END;
$$;
-- The other kinds move credits between what is owed pending, available and held.
CREATE TRIGGER ledger_transfers_total
    AFTER INSERT ON ledger_transfers
    FOR EACH ROW WHEN (NEW.kind IN ('consume', 'capture', 'refund', 'expire', 'void'))
    EXECUTE FUNCTION ledger_transfers_total();

-- A grant counts on the day of its transfer, which has its sequence.
CREATE FUNCTION credit_grants_total() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM credit_totals_add(
        NEW.account_id,
        coalesce((SELECT coalesce(t.occurred_at, t.created_at) FROM ledger_transfers t
                   WHERE t.account_id = NEW.account_id AND t.sequence = NEW.sequence), NEW.created_at),
        NEW.amount,
        CASE NEW.kind WHEN 'paid' THEN NEW.amount ELSE 0 END,
        CASE NEW.kind WHEN 'promotional' THEN NEW.amount ELSE 0 END,
        0, 0, 0, 0, 0);
    RETURN NULL;
END;
$$;
CREATE TRIGGER credit_grants_total
    AFTER INSERT ON credit_grants
    FOR EACH ROW EXECUTE FUNCTION credit_grants_total();

-- The totals as they follow from the ledger: what the tables above must have.
CREATE VIEW credit_totals_of_ledger AS
    SELECT a.currency, utc_day(coalesce(t.occurred_at, t.created_at)) AS day, credit_shard(a.id) AS shard,
           coalesce(sum(t.amount) FILTER (WHERE g.kind = 'paid'), 0) AS sold,
           coalesce(sum(t.amount) FILTER (WHERE g.kind = 'promotional'), 0) AS promotional,
           coalesce(sum(t.amount) FILTER (WHERE t.kind IN ('consume', 'capture')), 0) AS consumed,
           coalesce(sum(t.amount) FILTER (WHERE t.kind = 'refund'), 0) AS refunded,
           coalesce(sum(t.amount) FILTER (WHERE t.kind = 'expire'), 0) AS expired,
           coalesce(sum(t.amount) FILTER (WHERE t.kind = 'void'), 0) AS voided,
           count(*) FILTER (WHERE t.kind IN ('consume', 'capture')) AS spends
      FROM ledger_transfers t
      JOIN credit_accounts a ON a.id = t.account_id
      LEFT JOIN credit_grants g ON t.kind = 'grant' AND g.account_id = t.account_id AND g.sequence = t.sequence
     WHERE t.kind IN ('grant', 'consume', 'capture', 'refund', 'expire', 'void')
     GROUP BY 1, 2, 3;

INSERT INTO credit_totals_daily SELECT * FROM credit_totals_of_ledger;
INSERT INTO credit_liabilities (currency, shard, amount)
SELECT currency, credit_shard(id), sum(pending + available + held) FROM credit_accounts GROUP BY 1, 2;

-- ---------------------------------------------------------------------------
-- What has lapsed and was not posted yet, because nobody has looked.
-- ---------------------------------------------------------------------------

-- Serves the accounts of which something has fallen due. A spend does not change
-- next_due_at, and so not the index.
CREATE INDEX credit_accounts_due ON credit_accounts (currency, next_due_at) WHERE next_due_at < 'infinity';

-- What account_settle would post of an account, without posting it. It posts in
-- the order in which things fell due, none before the account's last transfer,
-- and what a hold gives back to a grant that has ended goes when the hold did.
CREATE FUNCTION credit_account_due(p_account_id uuid, p_last_occurred_at timestamptz, p_now timestamptz)
RETURNS TABLE (kind text, occurred_at timestamptz, amount numeric)
LANGUAGE sql STABLE AS $$
    SELECT 'activate', greatest(g.effective_at, p_last_occurred_at), g.remaining
      FROM credit_grants g
     WHERE g.account_id = p_account_id AND g.state = 'pending' AND g.effective_at <= p_now
    UNION ALL
    SELECT 'expire', greatest(g.expires_at, p_last_occurred_at), g.remaining
      FROM credit_grants g
     WHERE g.account_id = p_account_id AND g.state = 'pending' AND g.effective_at <= p_now AND g.expires_at <= p_now
    UNION ALL
    SELECT 'expire', greatest(g.expires_at, p_last_occurred_at), g.remaining
      FROM credit_grants g
     WHERE g.account_id = p_account_id AND g.state = 'open' AND g.expires_at < 'infinity' AND g.expires_at <= p_now
    UNION ALL
    SELECT 'release', greatest(h.expires_at, p_last_occurred_at), h.amount
      FROM credit_holds h
     WHERE h.account_id = p_account_id AND h.state = 'open' AND h.expires_at <= p_now
    UNION ALL
    SELECT CASE WHEN g.voided_at <= g.expires_at THEN 'void' ELSE 'expire' END,
           greatest(h.expires_at, least(g.voided_at, g.expires_at), p_last_occurred_at), p.amount
      FROM credit_holds h
      JOIN credit_hold_parts p ON p.hold_id = h.id
      JOIN credit_grants g ON g.id = p.grant_id
     WHERE h.account_id = p_account_id AND h.state = 'open' AND h.expires_at <= p_now
       AND (g.voided_at IS NOT NULL OR g.expires_at <= p_now)
$$;

-- How many accounts a read settles, and for how long it begins another one: a
-- sixth of the 1.5 seconds that a statement has. All that can fall due of one
-- account is posted in 0.8 seconds.
CREATE FUNCTION max_accounts_settled() RETURNS integer LANGUAGE sql IMMUTABLE RETURN 200;
CREATE FUNCTION max_settling_time() RETURNS interval LANGUAGE sql IMMUTABLE RETURN interval '250 milliseconds';
-- Of how many more a read works out what has lapsed: 10,000 at some 25
-- microseconds each are 0.25 of the 1.5 seconds.
CREATE FUNCTION max_accounts_due() RETURNS integer LANGUAGE sql IMMUTABLE RETURN 10000;

-- What has lapsed of the accounts that are not settled, by the day on which it
-- did, one row for each grant.
CREATE FUNCTION credits_lapsed(p_currency text, p_now timestamptz)
RETURNS TABLE (day date, kind text, amount numeric)
LANGUAGE sql STABLE AS $$
    SELECT utc_day(d.occurred_at), d.kind, d.amount
      FROM (SELECT id, last_occurred_at FROM credit_accounts
             WHERE currency = p_currency AND next_due_at < 'infinity' AND next_due_at <= p_now
             ORDER BY next_due_at LIMIT max_accounts_due()) a
     CROSS JOIN LATERAL credit_account_due(a.id, a.last_occurred_at, p_now) d
     WHERE d.kind IN ('expire', 'void')
$$;

-- Whether more accounts are due than a read can work out.
CREATE FUNCTION credits_due_are_too_many(p_currency text, p_now timestamptz) RETURNS boolean
LANGUAGE sql STABLE
RETURN (SELECT count(*) FROM (
    SELECT 1 FROM credit_accounts
     WHERE currency = p_currency AND next_due_at < 'infinity' AND next_due_at <= p_now
     ORDER BY next_due_at LIMIT max_accounts_due() + 1) due) > max_accounts_due();

-- Posts what has fallen due of the accounts that have waited longest, so that
-- they are not worked out again by the next read. Each is a transaction of its
-- own: it holds one account for as long as a spend would, and takes the totals
-- of one shard. An account that somebody else holds is being settled by them.
CREATE PROCEDURE credits_settle(p_currency text)
LANGUAGE plpgsql AS $$
DECLARE
    v_account credit_accounts;
    v_now timestamptz := clock_timestamp();
    v_until timestamptz := v_now + max_settling_time();
BEGIN
    FOR v_count IN 1..max_accounts_settled() LOOP
        SELECT * INTO v_account FROM credit_accounts
         WHERE currency = p_currency AND next_due_at < 'infinity' AND next_due_at <= v_now
         ORDER BY next_due_at LIMIT 1
           FOR NO KEY UPDATE SKIP LOCKED;
        EXIT WHEN NOT FOUND;
        PERFORM account_settle(v_account, v_now);
        COMMIT; -- Of this account: whoever waits for it goes on.
        v_now := clock_timestamp();
        EXIT WHEN v_now >= v_until;
    END LOOP;
END;
$$;

-- ---------------------------------------------------------------------------
-- Totals of subscriptions.
-- ---------------------------------------------------------------------------

-- Whether a subscription of this status is paid for, and so counts.
CREATE FUNCTION subscription_counts(p_status text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN coalesce(p_status IN ('active', 'past_due'), false);

-- What a day has changed of the monthly recurring revenue, and of the number of
-- subscriptions that count. The sum of all days is what they are now. Somebody
-- decides each change, so that they are few: they share a row.
CREATE TABLE subscription_totals_daily (
    currency         text NOT NULL,
    day              date NOT NULL,
    new_mrr          numeric NOT NULL DEFAULT 0,
    expansion_mrr    numeric NOT NULL DEFAULT 0,
    contraction_mrr  numeric NOT NULL DEFAULT 0,
    churned_mrr      numeric NOT NULL DEFAULT 0,
    reactivation_mrr numeric NOT NULL DEFAULT 0,
    active           bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (currency, day)
);

-- The subscriptions of each plan that count, as they are now.
CREATE TABLE subscription_totals_by_plan (
    currency      text NOT NULL,
    plan          text NOT NULL,
    subscriptions bigint NOT NULL,
    seats         bigint NOT NULL,
    mrr           numeric NOT NULL,
    PRIMARY KEY (currency, plan)
);
-- Serves the plans that bring most.
CREATE INDEX subscription_totals_by_plan_mrr ON subscription_totals_by_plan (currency, mrr DESC, plan)
    WHERE subscriptions > 0;

-- Serves the organizations that bring most, page by page.
CREATE INDEX organization_subscriptions_by_mrr ON organization_subscriptions (currency, mrr, organization_id);

CREATE VIEW subscription_totals_of_changes AS
    SELECT currency, utc_day(changed_at) AS day,
           coalesce(sum(mrr_after - coalesce(mrr_before, 0)) FILTER (WHERE movement = 'new'), 0) AS new_mrr,
           coalesce(sum(mrr_after - mrr_before) FILTER (WHERE movement = 'expansion'), 0) AS expansion_mrr,
           coalesce(sum(mrr_before - mrr_after) FILTER (WHERE movement = 'contraction'), 0) AS contraction_mrr,
           coalesce(sum(mrr_before - mrr_after) FILTER (WHERE movement = 'churned'), 0) AS churned_mrr,
           coalesce(sum(mrr_after - mrr_before) FILTER (WHERE movement = 'reactivation'), 0) AS reactivation_mrr,
           sum(subscription_counts(status_after)::integer - subscription_counts(status_before)::integer) AS active
      FROM subscription_changes
     GROUP BY 1, 2;
CREATE VIEW subscription_totals_of_plans AS
    SELECT currency, plan, count(*) AS subscriptions, sum(seats) AS seats, sum(mrr) AS mrr
      FROM organization_subscriptions
     WHERE subscription_counts(status)
     GROUP BY 1, 2;

-- A change holds its subscription, then the rows of its plans, of two the one
-- whose name comes first, then the row of the day: everybody in this order.
CREATE FUNCTION organization_subscriptions_total() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO subscription_totals_by_plan AS t (currency, plan, subscriptions, seats, mrr)
    SELECT d.currency, d.plan, sum(d.subscriptions), sum(d.seats), sum(d.mrr)
      FROM (SELECT OLD.currency, OLD.plan, -1 AS subscriptions, -OLD.seats::bigint AS seats, -OLD.mrr AS mrr
             WHERE TG_OP <> 'INSERT' AND subscription_counts(OLD.status)
            UNION ALL
            SELECT NEW.currency, NEW.plan, 1, NEW.seats, NEW.mrr
             WHERE TG_OP <> 'DELETE' AND subscription_counts(NEW.status)) d
     GROUP BY d.currency, d.plan
    HAVING (sum(d.subscriptions), sum(d.seats), sum(d.mrr)) <> (0, 0, 0)
     ORDER BY d.currency, d.plan
    ON CONFLICT (currency, plan) DO UPDATE SET
        subscriptions = t.subscriptions + excluded.subscriptions,
        seats         = t.seats         + excluded.seats,
        mrr           = t.mrr           + excluded.mrr;
    RETURN NULL;
END;
$$;
CREATE TRIGGER organization_subscriptions_total
    AFTER INSERT OR UPDATE OR DELETE ON organization_subscriptions
    FOR EACH ROW EXECUTE FUNCTION organization_subscriptions_total();

CREATE FUNCTION subscription_changes_total() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    v_mrr numeric := NEW.mrr_after - coalesce(NEW.mrr_before, 0);
BEGIN
    INSERT INTO subscription_totals_daily AS t
        (currency, day, new_mrr, expansion_mrr, contraction_mrr, churned_mrr, reactivation_mrr, active)
    VALUES (NEW.currency, utc_day(NEW.changed_at),
            CASE NEW.movement WHEN 'new' THEN v_mrr ELSE 0 END,
            CASE NEW.movement WHEN 'expansion' THEN v_mrr ELSE 0 END,
            CASE NEW.movement WHEN 'contraction' THEN -v_mrr ELSE 0 END,
            CASE NEW.movement WHEN 'churned' THEN -v_mrr ELSE 0 END,
            CASE NEW.movement WHEN 'reactivation' THEN v_mrr ELSE 0 END,
            subscription_counts(NEW.status_after)::integer - subscription_counts(NEW.status_before)::integer)
    ON CONFLICT (currency, day) DO UPDATE SET
        new_mrr          = t.new_mrr          + excluded.new_mrr,
        expansion_mrr    = t.expansion_mrr    + excluded.expansion_mrr,
        contraction_mrr  = t.contraction_mrr  + excluded.contraction_mrr,
        churned_mrr      = t.churned_mrr      + excluded.churned_mrr,
        reactivation_mrr = t.reactivation_mrr + excluded.reactivation_mrr,
        active           = t.active           + excluded.active;
    RETURN NULL;
END;
$$;
CREATE TRIGGER subscription_changes_total
    AFTER INSERT ON subscription_changes
    FOR EACH ROW EXECUTE FUNCTION subscription_changes_total();

INSERT INTO subscription_totals_daily SELECT * FROM subscription_totals_of_changes;
INSERT INTO subscription_totals_by_plan SELECT * FROM subscription_totals_of_plans;

-- ---------------------------------------------------------------------------
-- What the routes call.
-- ---------------------------------------------------------------------------

-- The totals of credits of the days from p_since to before p_until, and what is
-- owed now, what has lapsed and was not posted included. One statement, so that
-- an account which is settled meanwhile is counted once: either as posted or as
-- lapsed.
CREATE FUNCTION analytics_credits(p_currency text, p_since date, p_until date, p_now timestamptz) RETURNS json
LANGUAGE sql STABLE
-- Compiling the statement takes longer than running it.
SET jit = off AS $$
    WITH lapsed AS MATERIALIZED (
        SELECT day >= p_since AND day < p_until AS is_in_range, kind, amount FROM credits_lapsed(p_currency, p_now)
    ), lapsed_totals AS (
        SELECT coalesce(sum(amount), 0) AS amount,
               coalesce(sum(amount) FILTER (WHERE is_in_range AND kind = 'expire'), 0) AS expired,
               coalesce(sum(amount) FILTER (WHERE is_in_range AND kind = 'void'), 0) AS voided
          FROM lapsed
    ), posted AS (
        SELECT coalesce(sum(sold), 0) AS sold, coalesce(sum(promotional), 0) AS promotional,
               coalesce(sum(consumed), 0) AS consumed, coalesce(sum(refunded), 0) AS refunded,
               coalesce(sum(expired), 0) AS expired, coalesce(sum(voided), 0) AS voided,
               coalesce(sum(spends), 0) AS spends
          FROM credit_totals_daily
         WHERE currency = p_currency AND day >= p_since AND day < p_until
    )
    SELECT json_build_object(
        'credits', json_build_object(
            'sold', p.sold::text, 'promotional', p.promotional::text, 'consumed', p.consumed::text,
            'refunded', p.refunded::text, 'expired', (p.expired + l.expired)::text,
            'voided', (p.voided + l.voided)::text, 'spends', p.spends),
        'liability', ((SELECT coalesce(sum(amount), 0) FROM credit_liabilities WHERE currency = p_currency)
                      - l.amount)::text)
      FROM posted p, lapsed_totals l
$$;

-- The subscriptions as they are now, how they came to change from p_since to
-- before p_until, and the plans that bring most.
CREATE FUNCTION analytics_subscriptions(p_currency text, p_since date, p_until date, p_max_plans integer) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT json_build_object(
        'subscriptions', json_build_object(
            'mrr', coalesce(sum(new_mrr + expansion_mrr + reactivation_mrr - contraction_mrr - churned_mrr), 0)::text,
            'active', coalesce(sum(active), 0),
            'new_mrr', coalesce(sum(new_mrr) FILTER (WHERE is_in_range), 0)::text,
            'expansion_mrr', coalesce(sum(expansion_mrr) FILTER (WHERE is_in_range), 0)::text,
            'contraction_mrr', coalesce(sum(contraction_mrr) FILTER (WHERE is_in_range), 0)::text,
            'churned_mrr', coalesce(sum(churned_mrr) FILTER (WHERE is_in_range), 0)::text,
            'reactivation_mrr', coalesce(sum(reactivation_mrr) FILTER (WHERE is_in_range), 0)::text),
        'plans', (SELECT coalesce(json_agg(json_build_object(
                             'plan', plan, 'subscriptions', subscriptions, 'seats', seats, 'mrr', mrr::text)
                             ORDER BY mrr DESC, plan), '[]'::json)
                    FROM (SELECT * FROM subscription_totals_by_plan
                           WHERE currency = p_currency AND subscriptions > 0
                           ORDER BY mrr DESC, plan LIMIT p_max_plans) most))
      FROM (SELECT *, day >= p_since AND day < p_until AS is_in_range
              FROM subscription_totals_daily WHERE currency = p_currency) days
$$;

-- The totals of the days from p_since to before p_until by the interval that
-- they lie in, which p_unit ('day', 'week', 'month') names and its first day
-- stands for. An interval in which nothing was is absent.
CREATE FUNCTION analytics_trends(p_currency text, p_unit text, p_since date, p_until date, p_now timestamptz) RETURNS json
LANGUAGE sql STABLE
SET jit = off AS $$
    WITH days AS MATERIALIZED (
        SELECT day, sum(sold) AS sold, sum(promotional) AS promotional, sum(consumed) AS consumed,
               sum(refunded) AS refunded, sum(expired) AS expired, sum(voided) AS voided, sum(spends) AS spends
          FROM credit_totals_daily
         WHERE currency = p_currency AND day >= p_since AND day < p_until
         GROUP BY day
        UNION ALL
        SELECT day, 0, 0, 0, 0, CASE kind WHEN 'expire' THEN amount ELSE 0 END,
               CASE kind WHEN 'void' THEN amount ELSE 0 END, 0
          FROM credits_lapsed(p_currency, p_now)
         WHERE day >= p_since AND day < p_until
    ), credits AS (
        SELECT date_trunc(p_unit, day::timestamp)::date AS starts_on,
               json_build_object(
                   'sold', sum(sold)::text, 'promotional', sum(promotional)::text, 'consumed', sum(consumed)::text,
                   'refunded', sum(refunded)::text, 'expired', sum(expired)::text, 'voided', sum(voided)::text,
                   'spends', sum(spends)) AS totals
          FROM days GROUP BY 1
    ), subscription_days AS MATERIALIZED (
        SELECT *, new_mrr + expansion_mrr + reactivation_mrr - contraction_mrr - churned_mrr AS net_new_mrr
          FROM subscription_totals_daily WHERE currency = p_currency AND day < p_until
    ), subscriptions AS (
        SELECT date_trunc(p_unit, day::timestamp)::date AS starts_on,
               json_build_object(
                   'new_mrr', sum(new_mrr)::text, 'expansion_mrr', sum(expansion_mrr)::text,
                   'contraction_mrr', sum(contraction_mrr)::text, 'churned_mrr', sum(churned_mrr)::text,
                   'reactivation_mrr', sum(reactivation_mrr)::text, 'active', sum(active)) AS totals
          FROM subscription_days WHERE day >= p_since GROUP BY 1
    )
    SELECT json_build_object(
        'before', (SELECT json_build_object('mrr', coalesce(sum(net_new_mrr), 0)::text,
                                            'active', coalesce(sum(active), 0))
                     FROM subscription_days WHERE day < p_since),
        'credits', (SELECT coalesce(json_object_agg(to_char(starts_on, 'YYYY-MM-DD'), totals), '{}'::json) FROM credits),
        'subscriptions', (SELECT coalesce(json_object_agg(to_char(starts_on, 'YYYY-MM-DD'), totals), '{}'::json) FROM subscriptions))
$$;

-- What a caller is told who may not ask; null to go on.
CREATE FUNCTION analytics_refusal(p_digest bytea) RETURNS json
LANGUAGE sql VOLATILE
RETURN refusal(authenticate(p_digest), 'analytics:read');

-- The figures of the platform in one currency. A procedure, because it settles
-- accounts in transactions of their own.
CREATE PROCEDURE analytics_platform(
    p_digest bytea, p_currency text, p_since date, p_until date, p_max_plans integer, INOUT p_answer text
)
LANGUAGE plpgsql AS $$
DECLARE
    v_now timestamptz;
BEGIN
    p_answer := analytics_refusal(p_digest);
    IF p_answer IS NOT NULL THEN
        RETURN;
    END IF;
    CALL credits_settle(p_currency);
    -- Before the statements below take their views, so that nothing falls due
    -- in between that one of them would take for spendable.
    v_now := clock_timestamp();
    p_answer := CASE WHEN credits_due_are_too_many(p_currency, v_now)
        THEN json_build_object('outcome', 'settlement_pending')
        ELSE json_build_object(
            'outcome', 'found',
            'as_of', rfc3339(v_now),
            'credits', analytics_credits(p_currency, p_since, p_until, v_now),
            'subscriptions', analytics_subscriptions(p_currency, p_since, p_until, p_max_plans)) END;
END;
$$;

-- How the figures went, interval by interval.
CREATE PROCEDURE analytics_revenue_trends(
    p_digest bytea, p_currency text, p_unit text, p_since date, p_until date, INOUT p_answer text
)
LANGUAGE plpgsql AS $$
DECLARE
    v_now timestamptz;
BEGIN
    p_answer := analytics_refusal(p_digest);
    IF p_answer IS NOT NULL THEN
        RETURN;
    END IF;
    CALL credits_settle(p_currency);
    v_now := clock_timestamp();
    p_answer := CASE WHEN credits_due_are_too_many(p_currency, v_now)
        THEN json_build_object('outcome', 'settlement_pending')
        ELSE json_build_object('outcome', 'found', 'as_of', rfc3339(v_now),
                               'trends', analytics_trends(p_currency, p_unit, p_since, p_until, v_now)) END;
END;
$$;

-- A page of the organizations with a subscription in one currency, those that
-- bring most first, and one row more than asked for, by which the caller knows
-- whether there is a next page. What has fallen due of a pool is taken into
-- account and not posted.
CREATE FUNCTION analytics_organizations(
    p_digest bytea, p_currency text, p_limit integer, p_after_mrr numeric, p_after_id uuid
) RETURNS json
LANGUAGE plpgsql
SET jit = off AS $$
DECLARE
    v_answer json := analytics_refusal(p_digest);
    v_now timestamptz := clock_timestamp();
BEGIN
    IF v_answer IS NOT NULL THEN
        RETURN v_answer;
    END IF;
    RETURN json_build_object('outcome', 'listed', 'organizations', (
        SELECT coalesce(json_agg(json_build_object(
                   'organization_id', prefixed_id('org_', s.organization_id),
                   'name', (SELECT o.name FROM organizations o WHERE o.id = s.organization_id),
                   'plan', s.plan, 'status', s.status, 'seats', s.seats, 'mrr', s.mrr::text,
                   'available', (coalesce(pool.available, 0) + coalesce(due.amount, 0))::text,
                   'consumed', coalesce(pool.consumed, 0)::text)
                   ORDER BY s.mrr DESC, s.organization_id DESC), '[]'::json)
          FROM (SELECT * FROM organization_subscriptions
                 WHERE currency = p_currency
                   AND (mrr, organization_id) < (coalesce(p_after_mrr, 'Infinity'),
                                                 coalesce(p_after_id, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
                 ORDER BY mrr DESC, organization_id DESC
                 LIMIT p_limit + 1) s
          -- The limits keep these look-ups what they are, whatever the page's is.
          LEFT JOIN LATERAL (
              SELECT * FROM credit_accounts
               WHERE organization_id = s.organization_id AND currency = p_currency LIMIT 1) pool ON true
          LEFT JOIN LATERAL (
              SELECT sum(CASE WHEN d.kind IN ('activate', 'release') THEN d.amount ELSE -d.amount END) AS amount
                FROM credit_account_due(pool.id, pool.last_occurred_at, v_now) d
               WHERE pool.next_due_at <= v_now) due ON true));
END;
$$;

-- Every way in which these figures could be wrong, one row each; none is right.
-- It reads the whole ledger, like ledger_violations().
CREATE FUNCTION analytics_violations() RETURNS TABLE (subject text, violation text)
LANGUAGE sql STABLE AS $$
    SELECT concat_ws(' ', coalesce(t.currency, l.currency), coalesce(t.day, l.day)),
           'the totals of a day differ from the ledger'
      FROM credit_totals_daily t
      FULL JOIN credit_totals_of_ledger l USING (currency, day, shard)
     WHERE (t.sold, t.promotional, t.consumed, t.refunded, t.expired, t.voided, t.spends)
           IS DISTINCT FROM (l.sold, l.promotional, l.consumed, l.refunded, l.expired, l.voided, l.spends)
    UNION ALL
    SELECT coalesce(l.currency, a.currency), 'what is owed differs from the balances'
      FROM credit_liabilities l
      FULL JOIN (SELECT currency, credit_shard(id) AS shard, sum(pending + available + held) AS amount
                   FROM credit_accounts GROUP BY 1, 2) a USING (currency, shard)
     WHERE coalesce(l.amount, 0) <> coalesce(a.amount, 0)
    UNION ALL
    SELECT concat_ws(' ', coalesce(t.currency, c.currency), coalesce(t.day, c.day)),
           'the totals of a day differ from the changes of subscriptions'
      FROM subscription_totals_daily t
      FULL JOIN subscription_totals_of_changes c USING (currency, day)
     WHERE (t.new_mrr, t.expansion_mrr, t.contraction_mrr, t.churned_mrr, t.reactivation_mrr, t.active)
           IS DISTINCT FROM
           (c.new_mrr, c.expansion_mrr, c.contraction_mrr, c.churned_mrr, c.reactivation_mrr, c.active)
    UNION ALL
    SELECT concat_ws(' ', coalesce(t.currency, p.currency), coalesce(t.plan, p.plan)),
           'the totals of a plan differ from its subscriptions'
      FROM subscription_totals_by_plan t
      FULL JOIN subscription_totals_of_plans p USING (currency, plan)
     WHERE (coalesce(t.subscriptions, 0), coalesce(t.seats, 0), coalesce(t.mrr, 0))
           <> (coalesce(p.subscriptions, 0), coalesce(p.seats, 0), coalesce(p.mrr, 0))
    UNION ALL
    SELECT coalesce(d.currency, p.currency), 'the changes of subscriptions do not add up to the subscriptions'
      FROM (SELECT currency, sum(active) AS subscriptions,
                   sum(new_mrr + expansion_mrr + reactivation_mrr - contraction_mrr - churned_mrr) AS mrr
              FROM subscription_totals_daily GROUP BY 1) d
      FULL JOIN (SELECT currency, sum(subscriptions) AS subscriptions, sum(mrr) AS mrr
                   FROM subscription_totals_by_plan GROUP BY 1) p USING (currency)
     WHERE (coalesce(d.subscriptions, 0), coalesce(d.mrr, 0)) <> (coalesce(p.subscriptions, 0), coalesce(p.mrr, 0))
$$;
