-- What an organization has subscribed to, and every change of it with what it meant for the
-- monthly recurring revenue.

CREATE TABLE organization_subscriptions (
    organization_id   uuid PRIMARY KEY REFERENCES organizations (id),
    plan              text NOT NULL,
    seats             integer NOT NULL CHECK (seats BETWEEN 1 AND 1000000),
    status            text NOT NULL CHECK (status IN ('trialing', 'active', 'past_due', 'paused', 'canceled')),
    billing_period    text NOT NULL CHECK (billing_period IN ('month', 'year')),
    currency          text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    -- Of one seat for one billing period.
    seat_price        numeric(27,9) NOT NULL CHECK (seat_price >= 0),
    period_started_at timestamptz NOT NULL,
    -- Exclusive.
    period_ends_at    timestamptz NOT NULL CHECK (period_ends_at > period_started_at),
    -- Of the present terms. A million seats at the largest price, which is below 10^12, are
    -- below 10^18.
    mrr               numeric(27,9) NOT NULL CHECK (mrr >= 0),
    -- The number of changes, the first one included.
    version           bigint NOT NULL CHECK (version > 0),
    created_at        timestamptz NOT NULL,
    updated_at        timestamptz NOT NULL
);

-- Serves the organizations that bring most, page by page.
CREATE INDEX organization_subscriptions_by_mrr ON organization_subscriptions (currency, mrr, organization_id);

-- One row for each version. Append-only.
CREATE TABLE subscription_changes (
    organization_id uuid NOT NULL REFERENCES organizations (id),
    version         bigint NOT NULL,
    changed_at      timestamptz NOT NULL,
    actor_id        uuid NOT NULL,
    movement        text NOT NULL CHECK (movement IN (
                        'new', 'expansion', 'contraction', 'churned', 'reactivation', 'none')),
    plan_before     text,
    plan_after      text NOT NULL,
    seats_before    integer,
    seats_after     integer NOT NULL,
    status_before   text,
    status_after    text NOT NULL,
    currency        text NOT NULL,
    mrr_before      numeric(27,9) NOT NULL,
    mrr_after       numeric(27,9) NOT NULL,
    -- Drawn by whoever asked, so that a statement that is sent twice changes once.
    change_id       uuid NOT NULL DEFAULT gen_random_uuid(),
    PRIMARY KEY (organization_id, version),
    CONSTRAINT subscription_changes_once UNIQUE (organization_id, change_id)
);

CREATE TRIGGER subscription_changes_append_only
    BEFORE UPDATE OR DELETE ON subscription_changes
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER subscription_changes_no_truncate
    BEFORE TRUNCATE ON subscription_changes
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
