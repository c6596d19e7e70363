-- What the platform has sold, seen spent and owes, and what its subscriptions bring, for
-- those who run it.
--
-- The figures are kept in the transaction of what they count. So a read adds up rows by the
-- day and never scans the ledger, and a read which begins after an answer has the figures
-- of what was answered.

-- The shard of an account, to which it always adds. Its id is a UUID of version 7, of which
-- the bytes before the organization's slot are random. The slot would not do: all accounts of
-- a large organization would share a row.
--
-- One row for all spends of a day would be locked by each of them until it has committed.
-- With 2,000 spends a second of 2 ms each, 4 are under way at once; on 64 rows one of them
-- finds its row taken in about 4 of 64 cases, and waits for 1 ms on average. So many rows
-- for each day and currency are still few to add up: a month has at most 31 x 64 = 1,984.
CREATE FUNCTION credit_shard(p_account_id uuid) RETURNS smallint
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN (get_byte(uuid_send(p_account_id), 13) & 63)::smallint;

-- What came to pass on a day, over the accounts of a shard. The sums have no bound of
-- digits, because a spend must not fail for what others have spent.
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
    -- Serves the days of a range.
    PRIMARY KEY (currency, day, shard)
    -- The fill factor leaves room on the page for the next versions of a row, so that a
    -- spend changes no index.
) WITH (fillfactor = 50);

-- What was granted and is neither spent, nor expired, nor taken back, over the accounts of
-- a shard. It is the sum of all days, kept so that it need not be added up.
CREATE TABLE credit_liabilities (
    currency text NOT NULL,
    shard    smallint NOT NULL,
    amount   numeric NOT NULL,
    PRIMARY KEY (currency, shard)
) WITH (fillfactor = 25);

-- Adds a transfer to the totals of its day.
CREATE FUNCTION ledger_transfers_total() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    v_consumed numeric := CASE WHEN NEW.kind IN ('consume', 'capture') THEN NEW.amount ELSE 0 END;
    v_refunded numeric := CASE WHEN NEW.kind = 'refund' THEN NEW.amount ELSE 0 END;
    v_expired  numeric := CASE WHEN NEW.kind = 'expire' THEN NEW.amount ELSE 0 END;
    v_voided   numeric := CASE WHEN NEW.kind = 'void' THEN NEW.amount ELSE 0 END;
BEGIN
    PERFORM credit_totals_add(
        NEW.organization_id, NEW.account_id, coalesce(NEW.occurred_at, NEW.created_at),
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
        NEW.organization_id, NEW.account_id,
        coalesce((SELECT coalesce(t.occurred_at, t.created_at) FROM ledger_transfers t
                   WHERE t.organization_id = NEW.organization_id AND t.account_id = NEW.account_id
                     AND t.sequence = NEW.sequence), NEW.created_at),
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

-- The totals as they follow from the ledger: what the tables must have.
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
      JOIN credit_accounts a ON (a.organization_id, a.id) = (t.organization_id, t.account_id)
      LEFT JOIN credit_grants g
             ON t.kind = 'grant'
            AND (g.organization_id, g.account_id, g.sequence) = (t.organization_id, t.account_id, t.sequence)
     WHERE t.kind IN ('grant', 'consume', 'capture', 'refund', 'expire', 'void')
     GROUP BY 1, 2, 3;

-- Whether a subscription of this status is paid for, and so counts.
CREATE FUNCTION subscription_counts(p_status text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN coalesce(p_status IN ('active', 'past_due'), false);

-- What a day has changed of the monthly recurring revenue, and of the number of
-- subscriptions that count. The sum of all days is what they are now. Somebody decides each
-- change, so that they are few: they share a row.
CREATE TABLE subscription_totals_daily (
    currency         text NOT NULL,
    day              date NOT NULL,
    new_mrr          numeric NOT NULL DEFAULT 0,
    expansion_mrr    numeric NOT NULL DEFAULT 0,
    contraction_mrr  numeric NOT NULL DEFAULT 0,
    churned_mrr      numeric NOT NULL DEFAULT 0,
    reactivation_mrr numeric NOT NULL DEFAULT 0,
    active           bigint NOT NULL DEFAULT 0,
    -- Serves the days of a range.
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

-- The totals of each day as they follow from the changes: what the table must have.
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

-- The totals of each plan as they follow from the subscriptions: what the table must have.
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

-- Adds a change to the totals of its day.
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
