-- Metering: usage events, each stored once, meters that say what counts, and sums that are
-- kept with the events, so that no summary reads the events.
--
-- Every key begins with the organization, by which the tables can be distributed.

CREATE TABLE meters (
    organization_id uuid NOT NULL REFERENCES organizations (id),
    id              uuid NOT NULL,
    slug            text NOT NULL CHECK (slug ~ '^[a-z][a-z0-9_-]{0,63}$'),
    -- The events that it looks at.
    event_type      text NOT NULL,
    aggregation     text NOT NULL CHECK (aggregation IN (
                        'count', 'sum', 'min', 'max', 'average', 'unique_count', 'latest', 'time_weighted_sum')),
    -- A path into an event's properties, with a point between names; null for a count.
    value_property  text,
    -- Paths by whose values the sums are kept apart.
    group_by        text[] NOT NULL DEFAULT '{}' CHECK (cardinality(group_by) <= 4),
    -- [{"property","op","value"}]: an event counts if each holds.
    filters         jsonb NOT NULL DEFAULT '[]',
    -- The same as one predicate, which is looked at for each event; null without any.
    filter_path     jsonpath,
    created_at      timestamptz NOT NULL DEFAULT now(),
    archived_at     timestamptz,
    PRIMARY KEY (organization_id, id),
    -- Serves a meter by its name, and the list.
    CONSTRAINT meters_by_slug UNIQUE (organization_id, slug),
    CHECK ((aggregation = 'count') = (value_property IS NULL))
);

-- How long after a period was closed an event may still come in without the mark of an
-- adjustment: its statement began before, and is given up after 1.5 s. Half a second
-- more is for the commits, its own and that of the closing.
CREATE FUNCTION usage_settling_time() RETURNS interval
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN interval '2 seconds';

-- Until when an organization's usage was invoiced. An event for an earlier time is kept and
-- counted in its own hour, and marked as an adjustment.
CREATE TABLE usage_closed_periods (
    organization_id uuid PRIMARY KEY REFERENCES organizations (id),
    until           timestamptz NOT NULL,
    -- When every event before `until` is there or will be marked.
    settled_at      timestamptz NOT NULL DEFAULT clock_timestamp() + usage_settling_time()
);

-- The keys of all events ever, which outlive the events: a key that was used is used for
-- good, whatever time the second event with it has. No unique index spans partitions by
-- time, so the keys are a table of their own.
--
-- The key is the text and not a hash of it: ids that ascend, which clients and UUIDv7 have,
-- then share pages, two ids never collide, and there is no hash to compute.
-- docs/decisions/0013-usage-is-rolled-up-as-it-arrives.md has the figures.
CREATE TABLE usage_event_keys (
    organization_id uuid NOT NULL,
    source          text COLLATE "C" NOT NULL,
    id              text COLLATE "C" NOT NULL,
    PRIMARY KEY (organization_id, source, id)
);

-- An event, as it is stored within a batch.
CREATE TYPE usage_event AS (
    time          timestamptz,
    is_adjustment boolean,
    type          text,
    source        text,
    id            text,
    subject       text,
    properties    jsonb
);

-- The events, in the batches in which they came. Nothing looks for one of them: the keys tell
-- what was stored, and the sums what it amounts to. Within an array they are compressed
-- together, and take a fifth of what a row of each takes.
-- docs/decisions/0033-events-are-stored-by-the-batch.md has the figures.
CREATE TABLE usage_event_batches (
    organization_id uuid NOT NULL,
    -- That of the first event. All are of one month of UTC.
    time            timestamptz NOT NULL,
    accepted_at     timestamptz NOT NULL,
    events          usage_event[] NOT NULL
) PARTITION BY RANGE (time);

-- LZ4 takes a tenth of the time, and a Postgres may be built without it.
DO $$
BEGIN
    ALTER TABLE usage_event_batches ALTER COLUMN events SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN
    RAISE NOTICE 'this Postgres has no LZ4, and compresses usage events by its own method';
END;
$$;

-- The events one by one.
CREATE VIEW usage_events AS
SELECT b.organization_id, e.time, b.accepted_at, e.is_adjustment, e.type, e.source, e.id, e.subject, e.properties
  FROM usage_event_batches b CROSS JOIN LATERAL unnest(b.events) e;

-- Takes what has no partition yet, so that late upkeep refuses nobody.
CREATE TABLE usage_event_batches_default PARTITION OF usage_event_batches DEFAULT;

-- Tells upkeep which months are in there. In the default partition alone, which is empty.
CREATE INDEX usage_event_batches_default_by_time ON usage_event_batches_default (time);

-- The name of the partition of a month, which is one of UTC.
CREATE FUNCTION usage_partition_name(p_month timestamp) RETURNS text
LANGUAGE sql IMMUTABLE STRICT
RETURN 'usage_event_batches_' || to_char(p_month, 'YYYY_MM');

-- Makes the partition of a month: true if it is new. A month of which the default
-- partition holds events cannot have one.
CREATE FUNCTION usage_partition_create(p_month timestamp) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    v_name text := usage_partition_name(p_month);
    v_from timestamptz := p_month AT TIME ZONE 'UTC';
    v_to timestamptz := (p_month + interval '1 month') AT TIME ZONE 'UTC';
BEGIN
    IF to_regclass(v_name) IS NOT NULL
       OR EXISTS (SELECT 1 FROM usage_event_batches_default WHERE time >= v_from AND time < v_to) THEN
        RETURN false;
    END IF;
    -- Made apart and then attached: CREATE TABLE ... PARTITION OF would make
    -- every batch wait that is on its way.
    EXECUTE format('CREATE TABLE %I (LIKE usage_event_batches INCLUDING ALL)', v_name);
    EXECUTE format('ALTER TABLE usage_event_batches ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', v_name, v_from, v_to);
    RETURN true;
END;
$$;

-- From the oldest that an event may be, 35 days, to four months ahead.
DO $$
BEGIN
    FOR v_months IN -2..4 LOOP
        PERFORM usage_partition_create(
            date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => v_months));
    END LOOP;
END;
$$;

-- What one batch adds to one quarter of an hour.
CREATE TYPE usage_delta AS (
    meter_id   uuid,
    slot_at    timestamptz,
    -- The values that it is kept apart by, as a JSON array of texts; '' without any.
    group_key  text,
    subject    text,
    events     bigint,
    total      numeric,
    minimum    numeric,
    maximum    numeric,
    latest_at  timestamptz,
    latest     numeric
);

-- Rollups: what a meter counted in a quarter of an hour. Every zone's offset from UTC is a
-- multiple of 15 minutes (Asia/Kathmandu is 5:45), so days, months and hours of any zone
-- are whole quarters. A month has 31 x 96 = 2,976 of them.
CREATE TABLE usage_rollups (
    -- What has one width comes first, so that nothing is padded between.
    organization_id uuid NOT NULL,
    meter_id        uuid NOT NULL,
    slot_at         timestamptz NOT NULL,
    events          bigint NOT NULL,
    latest_at       timestamptz NOT NULL,
    group_key       text COLLATE "C" NOT NULL,
    total           numeric,
    -- Of a meter that asks for it; null otherwise.
    minimum         numeric,
    maximum         numeric,
    latest          numeric,
    -- Serves a batch by all of it, and a summary by its beginning.
    PRIMARY KEY (organization_id, meter_id, slot_at, group_key)
    -- The fill factor leaves room on the page for the next versions of a row that every
    -- batch changes, so that a change updates no index.
) WITH (fillfactor = 50);

-- The same by whole hours of UTC: a summary of days, or of the hours of most zones, reads a
-- fourth of the rows.
CREATE TABLE usage_hour_rollups (
    organization_id uuid NOT NULL,
    meter_id        uuid NOT NULL,
    hour_at         timestamptz NOT NULL,
    events          bigint NOT NULL,
    latest_at       timestamptz NOT NULL,
    group_key       text COLLATE "C" NOT NULL,
    total           numeric,
    minimum         numeric,
    maximum         numeric,
    latest          numeric,
    PRIMARY KEY (organization_id, meter_id, hour_at, group_key)
) WITH (fillfactor = 50);

-- The same for each subject, so that a customer's summary reads theirs alone.
CREATE TABLE usage_subject_rollups (
    organization_id uuid NOT NULL,
    meter_id        uuid NOT NULL,
    slot_at         timestamptz NOT NULL,
    events          bigint NOT NULL,
    latest_at       timestamptz NOT NULL,
    subject         text COLLATE "C" NOT NULL,
    group_key       text COLLATE "C" NOT NULL,
    total           numeric,
    minimum         numeric,
    maximum         numeric,
    latest          numeric,
    PRIMARY KEY (organization_id, meter_id, subject, slot_at, group_key)
) WITH (fillfactor = 50);

-- What a meter that adds up by groups counted in a day of UTC in all of them, of a subject, or
-- of all usage where that is empty. Entitlements ask for years, and a year of quarters has
-- 35,136 rows for each group.
CREATE TABLE usage_day_totals (
    organization_id uuid NOT NULL,
    meter_id        uuid NOT NULL,
    day_at          timestamptz NOT NULL,
    events          bigint NOT NULL,
    subject         text COLLATE "C" NOT NULL,
    total           numeric,
    PRIMARY KEY (organization_id, meter_id, subject, day_at)
) WITH (fillfactor = 50);

-- The values that a meter of distinct ones has seen: the first 16 bytes of their SHA-256.
-- Not MD5, of which two values with one hash can be made: whoever chooses the values would
-- pay for one of them.
CREATE TABLE usage_unique_values (
    organization_id uuid NOT NULL,
    meter_id        uuid NOT NULL,
    slot_at         timestamptz NOT NULL,
    group_key       text COLLATE "C" NOT NULL,
    subject         text COLLATE "C" NOT NULL,
    value           bytea NOT NULL,
    PRIMARY KEY (organization_id, meter_id, slot_at, group_key, subject, value)
);

-- What a meter of time was told: each level lasts until the next one of its series, which is
-- a subject in a group, and the last one until now. They outlive the events, as sums do, so
-- that a level that was set once is there in every range after it.
CREATE TABLE usage_levels (
    organization_id uuid NOT NULL,
    meter_id        uuid NOT NULL,
    subject         text COLLATE "C" NOT NULL,
    group_key       text COLLATE "C" NOT NULL,
    time            timestamptz NOT NULL,
    -- Of several at one moment the largest, so that no order of arrival matters.
    level           numeric NOT NULL,
    events          bigint NOT NULL,
    -- Serves a batch by all of it, and a summary by a series: what it has in the range, and
    -- the last one before.
    PRIMARY KEY (organization_id, meter_id, subject, group_key, time)
);

-- The series of a meter of time, so that a summary finds the last level of each without
-- reading those before it.
CREATE TABLE usage_level_series (
    organization_id uuid NOT NULL,
    meter_id        uuid NOT NULL,
    subject         text COLLATE "C" NOT NULL,
    group_key       text COLLATE "C" NOT NULL,
    PRIMARY KEY (organization_id, meter_id, subject, group_key)
);
