-- Entitlements: which features a subject of an organization, or the organization itself,
-- may use, and how much of them. What was used is what a meter counted, so nothing is
-- counted here.

CREATE TABLE entitlements (
    organization_id         uuid NOT NULL REFERENCES organizations (id),
    id                      uuid NOT NULL,
    -- The order of the list.
    sequence                bigint NOT NULL,
    -- As usage events name it; '' for the organization itself, as rollups have it.
    subject                 text COLLATE "C" NOT NULL,
    feature                 text COLLATE "C" NOT NULL CHECK (feature ~ '^[a-z][a-z0-9_-]{0,63}$'),
    type                    text NOT NULL CHECK (type IN ('boolean', 'metered')),
    meter_id                uuid,
    usage_limit             numeric CHECK (usage_limit > 0),
    period                  text CHECK (period IN ('day', 'month', 'year', 'never')),
    -- The zone whose midnights the periods have; null for the organization's. What the
    -- organization itself was given keeps the zone of then, because an admin who moved
    -- the organization to where a day has just begun would have the whole limit again.
    time_zone               text,
    -- Whether use is allowed beyond the limit.
    is_soft                 boolean,
    expires_at              timestamptz,
    -- The one that entitlement_names has: neither revoked, nor replaced after it expired.
    is_current              boolean NOT NULL DEFAULT true,
    created_at              timestamptz NOT NULL DEFAULT now(),
    updated_at              timestamptz NOT NULL DEFAULT now(),
    revoked_at              timestamptz,
    -- The last reset: the period that it was in, and what had been used of it. That
    -- period keeps its bounds when the organization moves to another zone.
    reset_at                timestamptz,
    reset_period_started_at timestamptz,
    reset_period_ends_at    timestamptz,
    used_before             numeric,
    -- What was counted from the start of a period until no event can change it any
    -- more, so that no check sums up a year. Upkeep writes it.
    settled_from            timestamptz,
    settled_until           timestamptz,
    -- When upkeep last began to settle it, so that one that cannot be settled is the last to be tried.
    settling_began_at       timestamptz NOT NULL DEFAULT '-infinity',
    settled_used            numeric,
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, meter_id) REFERENCES meters (organization_id, id),
    CHECK (CASE type WHEN 'boolean' THEN num_nonnulls(meter_id, usage_limit, period, is_soft) = 0
                     ELSE num_nonnulls(meter_id, usage_limit, period, is_soft) = 4 END),
    CHECK (num_nonnulls(reset_at, reset_period_started_at, reset_period_ends_at, used_before) IN (0, 4)),
    CHECK (num_nonnulls(settled_from, settled_until, settled_used) IN (0, 3)),
    CHECK (NOT (is_current AND revoked_at IS NOT NULL))
);

-- Serves the list of everything, newest first.
CREATE UNIQUE INDEX entitlements_by_sequence ON entitlements (organization_id, sequence) WHERE is_current;
-- Serves the list of a subject, newest first.
CREATE INDEX entitlements_by_subject ON entitlements (organization_id, subject, sequence) WHERE is_current;
-- Serves the list of a feature, newest first.
CREATE INDEX entitlements_by_feature ON entitlements (organization_id, feature, sequence) WHERE is_current;
-- Serves the platform's upkeep: those of long periods that have waited longest to be settled.
CREATE INDEX entitlements_by_settling ON entitlements (coalesce(settled_until, '-infinity'))
 WHERE is_current AND period IN ('year', 'never');

CREATE TRIGGER entitlements_number BEFORE INSERT ON entitlements
    FOR EACH ROW WHEN (NEW.sequence IS NULL) EXECUTE FUNCTION organization_sequence_take();

-- The current entitlement to each feature of a subject, where the check looks for it. Apart
-- from the others and with one index, because a plan that knows no values may take any
-- index that begins with the organization, and so read all of a large one's.
CREATE TABLE entitlement_names (
    organization_id uuid NOT NULL,
    subject         text COLLATE "C" NOT NULL,
    feature         text COLLATE "C" NOT NULL,
    entitlement_id  uuid NOT NULL,
    PRIMARY KEY (organization_id, subject, feature),
    FOREIGN KEY (organization_id, entitlement_id) REFERENCES entitlements (organization_id, id)
);

-- How many current ones an organization has, because to count 100,000 takes 10 ms.
CREATE TABLE entitlement_counts (
    organization_id uuid PRIMARY KEY REFERENCES organizations (id),
    current         integer NOT NULL CHECK (current >= 0)
);

-- Each reset, by the Idempotency-Key that it came with, so that one that is sent twice is
-- one.
CREATE TABLE entitlement_resets (
    organization_id uuid NOT NULL,
    entitlement_id  uuid NOT NULL,
    key             text COLLATE "C" NOT NULL,
    reset_at        timestamptz NOT NULL,
    -- What had been used since the period began, or since the reset before in it.
    used            numeric NOT NULL,
    PRIMARY KEY (organization_id, entitlement_id, key),
    FOREIGN KEY (organization_id, entitlement_id) REFERENCES entitlements (organization_id, id)
);

-- Serves the purge.
CREATE INDEX entitlement_resets_by_age ON entitlement_resets (reset_at);
