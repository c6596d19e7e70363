-- Subscriptions: which plan an account has, from when to when, and what it owes in advance for it.
--
-- A subscription changes by steps, each of which is a version of it. Whoever decides a step has read
-- the version before, so that versions are in one order.

CREATE TABLE subscriptions (
    organization_id   uuid NOT NULL,
    id                uuid NOT NULL,
    account_id        uuid NOT NULL,
    -- Of the catalog, which need not be in the same database. A version of a plan never goes.
    plan_id           uuid NOT NULL,
    -- Kept until the subscription is moved to another one.
    plan_version      integer NOT NULL,
    -- The plan's.
    currency          text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    quantity          integer NOT NULL CHECK (quantity BETWEEN 1 AND 1000000),
    -- Prices instead of the plan's: a list of objects with charge and price.
    price_overrides   jsonb NOT NULL DEFAULT '[]',
    billing_unit      text NOT NULL
                      CHECK (billing_unit IN ('day', 'week', 'month', 'quarter', 'half_year', 'year')),
    billing_count     integer NOT NULL CHECK (billing_count BETWEEN 1 AND 366),
    alignment         text NOT NULL CHECK (alignment IN ('calendar', 'anniversary')),
    -- What billing_period_at() is told: a boundary on the clocks of the zone, and the day of the month.
    anchor_at         timestamp NOT NULL,
    anchor_day        integer NOT NULL CHECK (anchor_day BETWEEN 1 AND 31),
    -- The account's when the subscription was made.
    time_zone         text NOT NULL,
    proration         text NOT NULL CHECK (proration IN ('day', 'second', 'fixed_30', 'none')),
    status            text NOT NULL CHECK (status IN ('scheduled', 'trialing', 'active', 'paused', 'canceled')),
    starts_at         timestamptz NOT NULL,
    -- Null without a trial. It stays when the trial is over.
    trial_ends_at     timestamptz,
    -- The plan whose trial it is, whatever plan it has by now.
    trial_plan_id     uuid,
    -- The current period; before the start the first, and after the end the last.
    period_index      integer NOT NULL CHECK (period_index >= 0),
    period_started_at timestamptz NOT NULL,
    period_ends_at    timestamptz NOT NULL,
    cancel_at         timestamptz,
    cancel_credit     text CHECK (cancel_credit IN ('none', 'unused', 'full')),
    paused_at         timestamptz,
    resumes_at        timestamptz,
    ended_at          timestamptz,
    -- What becomes of it at the end of the period: an object with plan, plan_version, quantity and
    -- price_overrides.
    pending_change    jsonb,
    metadata          jsonb NOT NULL DEFAULT '{}',
    version           bigint NOT NULL CHECK (version > 0),
    -- Of an account in test mode, whose time only the account's own clock tells.
    is_test           boolean NOT NULL,
    created_at        timestamptz NOT NULL,
    updated_at        timestamptz NOT NULL,
    -- Until when the job passes it over, because it could not be advanced.
    set_aside_until   timestamptz NOT NULL DEFAULT '-infinity',
    -- When it changes without being asked to. Least passes over a null.
    next_due_at       timestamptz NOT NULL GENERATED ALWAYS AS (
        CASE status WHEN 'scheduled' THEN least(starts_at, cancel_at)
                    WHEN 'trialing' THEN least(trial_ends_at, period_ends_at, cancel_at)
                    WHEN 'active' THEN least(period_ends_at, cancel_at)
                    WHEN 'paused' THEN least(period_ends_at, cancel_at, resumes_at)
                    ELSE 'infinity' END) STORED,
    -- Serves one subscription, and the list of an organization's, newest first.
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, account_id) REFERENCES billing_accounts (organization_id, id),
    CHECK (period_ends_at > period_started_at),
    CHECK ((trial_plan_id IS NULL) = (trial_ends_at IS NULL)),
    CHECK ((cancel_at IS NULL) = (cancel_credit IS NULL)),
    CHECK ((status = 'canceled') = (ended_at IS NOT NULL)),
    CHECK ((status = 'paused') = (paused_at IS NOT NULL))
) WITH (fillfactor = 80);

-- Serves the list of all, newest first, and a subscription by its id alone.
CREATE INDEX subscriptions_by_id ON subscriptions (id);
-- Serves the list of an account's, and whether it has had a trial of a plan.
CREATE INDEX subscriptions_by_account ON subscriptions (organization_id, account_id, id);
-- Serve the lists by plan and by status.
CREATE INDEX subscriptions_by_plan ON subscriptions (plan_id, id);
CREATE INDEX subscriptions_by_plan_and_status ON subscriptions (plan_id, status, id);
CREATE INDEX subscriptions_by_status ON subscriptions (status, id);
-- Serves the job that lets time pass.
CREATE INDEX subscriptions_due ON subscriptions (next_due_at) WHERE status <> 'canceled' AND NOT is_test;

-- As for memberships: one subscription is looked up by its key, and most organizations have one.
ALTER TABLE subscriptions ALTER COLUMN organization_id SET (n_distinct = -0.1);

-- Every version of a subscription, and what made it.
CREATE TABLE subscription_versions (
    organization_id uuid NOT NULL,
    subscription_id uuid NOT NULL,
    version         bigint NOT NULL CHECK (version > 0),
    action          text NOT NULL,
    -- When it came to pass by the account's clock. What time alone does comes to pass when it is due.
    happened_at     timestamptz NOT NULL,
    -- When the row was written.
    written_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Who asked; null for what time alone does.
    actor_id        uuid,
    -- The subscription after it, as the API shows it.
    state           jsonb NOT NULL,
    -- Serves the list, newest first.
    PRIMARY KEY (organization_id, subscription_id, version),
    FOREIGN KEY (organization_id, subscription_id) REFERENCES subscriptions (organization_id, id)
);

CREATE TRIGGER subscription_versions_append_only
    BEFORE UPDATE OR DELETE ON subscription_versions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER subscription_versions_no_truncate
    BEFORE TRUNCATE ON subscription_versions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What charges that are billed in advance owe and give back: for each version its lines. The next
-- invoice takes them.
CREATE TABLE subscription_adjustments (
    organization_id uuid NOT NULL,
    subscription_id uuid NOT NULL,
    version         bigint NOT NULL,
    line            integer NOT NULL CHECK (line BETWEEN 1 AND 999),
    period_index    integer NOT NULL,
    charge_code     text NOT NULL,
    description     text NOT NULL,
    currency        text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    -- Below zero what is given back.
    amount          numeric(27, 9) NOT NULL CHECK (amount <> 0),
    -- The dates that it is for, on the calendar of the subscription's zone.
    from_date       date NOT NULL,
    to_date         date NOT NULL,
    proration       text NOT NULL CHECK (proration IN ('day', 'second', 'fixed_30', 'none')),
    -- The part of the period as the policy counts it: days, or seconds. Of a whole credit both are 1.
    share           bigint NOT NULL CHECK (share > 0),
    share_of        bigint NOT NULL CHECK (share_of >= share),
    happened_at     timestamptz NOT NULL,
    -- Serves the list, newest first.
    PRIMARY KEY (organization_id, subscription_id, version, line),
    FOREIGN KEY (organization_id, subscription_id, version)
        REFERENCES subscription_versions (organization_id, subscription_id, version)
);

-- Serves what was billed of a period.
CREATE INDEX subscription_adjustments_by_period
    ON subscription_adjustments (organization_id, subscription_id, period_index);

CREATE TRIGGER subscription_adjustments_append_only
    BEFORE UPDATE OR DELETE ON subscription_adjustments
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER subscription_adjustments_no_truncate
    BEFORE TRUNCATE ON subscription_adjustments
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
