-- Metering: usage events, each stored once, meters that say what counts, and
-- sums that are kept with the events, so that no summary reads the events.
--
-- Every key begins with the organization, by which the tables can be distributed.

INSERT INTO permissions (name, description, is_platform) VALUES
    ('usage:write',   'Send usage events', false),
    ('usage:read',    'See meters and the usage that they counted', false),
    ('meters:manage', 'Make and archive meters', false),
    ('usage:upkeep',  'Make and drop the partitions of usage events', true);
UPDATE roles SET permissions = permissions || ARRAY['usage:write', 'usage:read', 'meters:manage']
 WHERE organization_id IS NULL AND name IN ('owner', 'admin');
UPDATE roles SET permissions = permissions || ARRAY['usage:upkeep']
 WHERE organization_id IS NULL AND name = 'platform_admin';

-- The zone whose days and months the organization's summaries have.
ALTER TABLE organizations ADD COLUMN time_zone text NOT NULL DEFAULT 'UTC';

-- The zones that there are. Asking pg_timezone_names reads every file of them, which
-- takes 250 ms, and AT TIME ZONE alone takes "Nowhere5" for a zone. Upkeep adds the
-- zones that an upgrade brings.
CREATE TABLE time_zones (name text PRIMARY KEY);
CREATE FUNCTION time_zones_add() RETURNS void
LANGUAGE sql AS $$
    INSERT INTO time_zones SELECT name FROM pg_timezone_names WHERE name !~ '^(posix|right)/'
    ON CONFLICT DO NOTHING
$$;
SELECT time_zones_add();

-- ---------------------------------------------------------------------------
-- Meters.
-- ---------------------------------------------------------------------------

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
    CONSTRAINT meters_by_slug UNIQUE (organization_id, slug),
    CHECK ((aggregation = 'count') = (value_property IS NULL))
);

-- Until when an organization's usage was invoiced. An event for an earlier time
-- is kept and counted in its own hour, and marked as an adjustment.
CREATE TABLE usage_closed_periods (
    organization_id uuid PRIMARY KEY REFERENCES organizations (id),
    until           timestamptz NOT NULL
);

-- ---------------------------------------------------------------------------
-- Events.
-- ---------------------------------------------------------------------------

-- The keys of all events ever, which outlive the events: a key that was used is
-- used for good, whatever time the second event with it has. No unique index
-- spans partitions by time, so the keys are a table of their own.
--
-- The key is the text and not a hash of it: ids that ascend, which clients and
-- UUIDv7 have, then share pages, two ids never collide, and there is no hash to
-- compute. docs/decisions/0013-usage-is-rolled-up-as-it-arrives.md has the figures.
CREATE TABLE usage_event_keys (
    organization_id uuid NOT NULL,
    source          text COLLATE "C" NOT NULL,
    id              text COLLATE "C" NOT NULL,
    PRIMARY KEY (organization_id, source, id)
);

CREATE TABLE usage_events (
    organization_id uuid NOT NULL,
    time            timestamptz NOT NULL,
    accepted_at     timestamptz NOT NULL,
    is_adjustment   boolean NOT NULL,
    type            text COLLATE "C" NOT NULL,
    source          text COLLATE "C" NOT NULL,
    id              text COLLATE "C" NOT NULL,
    subject         text COLLATE "C" NOT NULL,
    properties      jsonb NOT NULL
) PARTITION BY RANGE (time);

-- Serves the meters that are computed from the events themselves.
CREATE INDEX usage_events_by_type ON usage_events (organization_id, type, time);

-- Takes what has no partition yet, so that late upkeep refuses nobody.
CREATE TABLE usage_events_default PARTITION OF usage_events DEFAULT;
-- Tells upkeep which months are in there. In the default partition alone, which is empty.
CREATE INDEX usage_events_default_by_time ON usage_events_default (time);

-- The name of the partition of a month, which is one of UTC.
CREATE FUNCTION usage_partition_name(p_month timestamp) RETURNS text
LANGUAGE sql IMMUTABLE STRICT
RETURN 'usage_events_' || to_char(p_month, 'YYYY_MM');

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
       OR EXISTS (SELECT 1 FROM usage_events_default WHERE time >= v_from AND time < v_to) THEN
        RETURN false;
    END IF;
    -- Made apart and then attached: CREATE TABLE ... PARTITION OF would make
    -- every batch wait that is on its way.
    EXECUTE format('CREATE TABLE %I (LIKE usage_events INCLUDING ALL)', v_name);
    EXECUTE format('ALTER TABLE usage_events ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', v_name, v_from, v_to);
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

-- ---------------------------------------------------------------------------
-- Rollups: what a meter counted in a quarter of an hour. Every zone's offset from
-- UTC is a multiple of 15 minutes (Asia/Kathmandu is 5:45), so days, months and
-- hours of any zone are whole quarters. A month has 31 x 96 = 2,976 of them.
-- ---------------------------------------------------------------------------

-- What one batch adds to one quarter.
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

CREATE TABLE usage_rollups (
    organization_id uuid NOT NULL,
    meter_id        uuid NOT NULL,
    slot_at         timestamptz NOT NULL,
    group_key       text COLLATE "C" NOT NULL,
    events          bigint NOT NULL,
    total           numeric,
    minimum         numeric,
    maximum         numeric,
    latest_at       timestamptz NOT NULL,
    latest          numeric,
    PRIMARY KEY (organization_id, meter_id, slot_at, group_key)
) WITH (fillfactor = 50);
-- The fill factor leaves room on the page for the next versions of a row that
-- every batch changes, so that a change updates no index.

-- The same for each subject, so that a customer's summary reads theirs alone.
CREATE TABLE usage_subject_rollups (
    organization_id uuid NOT NULL,
    meter_id        uuid NOT NULL,
    subject         text COLLATE "C" NOT NULL,
    slot_at         timestamptz NOT NULL,
    group_key       text COLLATE "C" NOT NULL,
    events          bigint NOT NULL,
    total           numeric,
    minimum         numeric,
    maximum         numeric,
    latest_at       timestamptz NOT NULL,
    latest          numeric,
    PRIMARY KEY (organization_id, meter_id, subject, slot_at, group_key)
) WITH (fillfactor = 50);

-- The values that a meter of distinct ones has seen: the first 16 bytes of their
-- SHA-256. Not MD5, of which two values with one hash can be made: whoever
-- chooses the values would pay for one of them.
CREATE TABLE usage_unique_values (
    organization_id uuid NOT NULL,
    meter_id        uuid NOT NULL,
    slot_at         timestamptz NOT NULL,
    group_key       text COLLATE "C" NOT NULL,
    subject         text COLLATE "C" NOT NULL,
    value           bytea NOT NULL,
    PRIMARY KEY (organization_id, meter_id, slot_at, group_key, subject, value)
);

-- ---------------------------------------------------------------------------
-- What the functions below share.
-- ---------------------------------------------------------------------------

-- Filters as one predicate of SQL/JSON: it takes a third of the time that looking
-- at a list of them does. What is not there is equal to nothing, and a list is
-- equal to whatever is in it.
CREATE FUNCTION usage_filter_path(p_filters jsonb) RETURNS jsonpath
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (
    SELECT string_agg(CASE WHEN f ->> 'op' = 'ne' THEN '!' ELSE '' END || 'exists('
                      || '$."' || replace(f ->> 'property', '.', '"."') || '" ? ('
                      || CASE WHEN f ->> 'op' <> 'in' THEN '@ == ' || (f -> 'value')::text
                              WHEN f -> 'value' = '[]' THEN '1 == 2'
                              ELSE (SELECT string_agg('@ == ' || value::text, ' || ')
                                      FROM jsonb_array_elements(f -> 'value') value) END
                      || '))', ' && ')::jsonpath
      FROM jsonb_array_elements(p_filters) f);

-- The number that a JSON value is, or null: a number, or a string that is one in
-- plain decimal notation, for clients whose numbers are floats.
CREATE FUNCTION usage_number(p_value jsonb) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE jsonb_typeof(p_value)
    WHEN 'number' THEN p_value::numeric
    WHEN 'string' THEN CASE WHEN p_value #>> '{}' ~ '^-?[0-9]{1,20}(\.[0-9]{1,20})?$' THEN (p_value #>> '{}')::numeric END
END;

-- The group of an event, for up to four paths, as the text of a JSON array. Made
-- of texts, because jsonb_build_array takes three times as long.
CREATE FUNCTION usage_group_key(
    p_properties jsonb, p_count integer, p_1 text[], p_2 text[], p_3 text[], p_4 text[]
) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE p_count
    WHEN 0 THEN ''
    WHEN 1 THEN '[' || coalesce((p_properties #> p_1)::text, 'null') || ']'
    ELSE '[' || coalesce((p_properties #> p_1)::text, 'null') || ',' || coalesce((p_properties #> p_2)::text, 'null')
         || CASE WHEN p_count > 2 THEN ',' || coalesce((p_properties #> p_3)::text, 'null') ELSE '' END
         || CASE WHEN p_count > 3 THEN ',' || coalesce((p_properties #> p_4)::text, 'null') ELSE '' END || ']'
END;

-- ---------------------------------------------------------------------------
-- Ingest.
-- ---------------------------------------------------------------------------

-- Stores a batch of an organization: the events, their keys and what the meters
-- make of them, in one transaction. The arrays are in the order of source and id,
-- so that batches side by side take their keys in one order and cannot wait for
-- each other in a circle; rollups come after all keys, in one order too. `p_keys`
-- numbers the distinct keys of the batch. Of events with one key the first that is
-- not rejected counts. An atomic batch with a rejected event stores nothing.
--
-- The plan is kept: planning takes 2 ms, as long as a tenth of the work. Without
-- statistics about arrays a plan may nest loops over a thousand rows each, which
-- is a million steps, and so it may not. The settings hold for whatever is called
-- from here, which is why nothing is that looks at large tables by nested loops.
CREATE FUNCTION usage_store(
    p_organization_id uuid, p_keys integer[], p_sources text[], p_ids text[], p_subjects text[], p_types text[],
    p_times bigint[], p_properties text[], p_is_atomic boolean
) RETURNS json
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_nestloop = off
SET enable_sort = off
SET jit = off
AS $$
DECLARE
    v_answer json;
    v_closed_until timestamptz;
    v_deltas usage_delta[];
BEGIN
    SELECT until INTO v_closed_until FROM usage_closed_periods WHERE organization_id = p_organization_id;

    WITH input AS MATERIALIZED (
        SELECT e.n, e.key, e.source, e.id, e.subject, e.type, e.properties::jsonb AS properties,
               'epoch'::timestamptz + e.micros * interval '1 microsecond' AS time
          FROM unnest(p_keys, p_sources, p_ids, p_subjects, p_types, p_times, p_properties) WITH ORDINALITY
               AS e (key, source, id, subject, type, micros, properties, n)
    ), active AS MATERIALIZED (
        SELECT m.id, m.event_type, m.aggregation, m.value_property, m.filter_path,
               string_to_array(m.value_property, '.') AS value_path, cardinality(m.group_by) AS groups,
               string_to_array(m.group_by[1], '.') AS path_1, string_to_array(m.group_by[2], '.') AS path_2,
               string_to_array(m.group_by[3], '.') AS path_3, string_to_array(m.group_by[4], '.') AS path_4
          FROM meters m
         WHERE m.organization_id = p_organization_id AND m.archived_at IS NULL
    ), looked_at AS MATERIALIZED (
        SELECT i.n, i.time, i.subject, a.id AS meter_id, a.aggregation, a.value_property,
               i.properties #> a.value_path AS value,
               usage_group_key(i.properties, a.groups, a.path_1, a.path_2, a.path_3, a.path_4) AS group_key
          FROM input i JOIN active a ON a.event_type = i.type
         WHERE a.filter_path IS NULL OR i.properties @@ a.filter_path
    ), measured AS MATERIALIZED (
        SELECT l.*, CASE WHEN l.aggregation NOT IN ('count', 'unique_count') THEN usage_number(l.value) END AS number
          FROM looked_at l
    ), problems AS MATERIALIZED (
        SELECT DISTINCT p.n, p.field, p.code
          FROM (SELECT m.n,
                       CASE WHEN octet_length(m.group_key) > 1024 THEN 'properties' ELSE 'properties.' || m.value_property END AS field,
                       CASE WHEN octet_length(m.group_key) > 1024 THEN 'group_too_long'
                            WHEN m.aggregation = 'count' THEN NULL
                            WHEN m.value IS NULL OR m.value = 'null' THEN 'required'
                            WHEN m.aggregation = 'unique_count' THEN
                                CASE WHEN jsonb_typeof(m.value) IN ('object', 'array') THEN 'not_a_scalar' END
                            WHEN m.number IS NULL THEN 'not_a_number' END AS code
                  FROM measured m) p
         WHERE p.code IS NOT NULL
    ), firsts AS MATERIALIZED (
        SELECT DISTINCT ON (i.key) i.*
          FROM input i
         WHERE i.n NOT IN (SELECT n FROM problems)
           AND NOT (p_is_atomic AND EXISTS (SELECT 1 FROM problems))
         ORDER BY i.key, i.n
    ), fresh AS (
        INSERT INTO usage_event_keys (organization_id, source, id)
        SELECT p_organization_id, f.source, f.id FROM firsts f ORDER BY f.key
        ON CONFLICT DO NOTHING
        RETURNING source, id
    ), accepted AS MATERIALIZED (
        SELECT f.*, f.time < v_closed_until AS is_adjustment
          FROM fresh JOIN firsts f ON f.source = fresh.source AND f.id = fresh.id
    ), stored AS (
        INSERT INTO usage_events
            (organization_id, time, accepted_at, is_adjustment, type, source, id, subject, properties)
        SELECT p_organization_id, a.time, now(), coalesce(a.is_adjustment, false), a.type, a.source, a.id, a.subject,
               a.properties
          FROM accepted a
    ), counted AS MATERIALIZED (
        -- Those of time are computed from the events.
        SELECT m.*, date_bin('15 minutes', m.time, 'epoch') AS slot_at
          FROM measured m JOIN accepted a ON a.n = m.n
         WHERE m.aggregation <> 'time_weighted_sum'
    ), uniques AS (
        INSERT INTO usage_unique_values (organization_id, meter_id, slot_at, group_key, subject, value)
        SELECT DISTINCT p_organization_id, c.meter_id, c.slot_at, c.group_key, c.subject,
               substring(sha256(convert_to(c.value #>> '{}', 'UTF8')) FOR 16) AS value
          FROM counted c
         WHERE c.aggregation = 'unique_count'
         ORDER BY 2, 3, 4, 5, 6
        ON CONFLICT DO NOTHING
    ), deltas AS (
        SELECT c.meter_id, c.slot_at, c.group_key, c.subject, count(*) AS events, sum(c.number) AS total,
               min(c.number) AS minimum, max(c.number) AS maximum, max(c.time) AS latest_at,
               -- Of two at the same moment the larger, so that no order of arrival matters.
               (max(ARRAY[extract(epoch FROM c.time), c.number]) FILTER (WHERE c.aggregation = 'latest'))[2] AS latest
          FROM counted c
         GROUP BY c.meter_id, c.slot_at, c.group_key, c.subject
    )
    SELECT json_build_object(
               'outcome', 'stored',
               'accepted', (SELECT coalesce(json_agg(a.n), '[]'::json) FROM accepted a),
               'adjustments', (SELECT coalesce(json_agg(a.n), '[]'::json) FROM accepted a WHERE a.is_adjustment),
               'problems', (SELECT coalesce(json_agg(p), '[]'::json) FROM problems p)),
           (SELECT array_agg(ROW(d.*)::usage_delta) FROM deltas d)
      INTO v_answer, v_deltas;

    IF v_deltas IS NOT NULL THEN
        INSERT INTO usage_subject_rollups AS r
            (organization_id, meter_id, subject, slot_at, group_key,
             events, total, minimum, maximum, latest_at, latest)
        SELECT p_organization_id, d.meter_id, d.subject, d.slot_at, d.group_key,
               d.events, d.total, d.minimum, d.maximum, d.latest_at, d.latest
          FROM unnest(v_deltas) d
         WHERE d.subject <> ''
         ORDER BY d.meter_id, d.subject, d.slot_at, d.group_key
        ON CONFLICT (organization_id, meter_id, subject, slot_at, group_key) DO UPDATE
           SET events = r.events + excluded.events, total = r.total + excluded.total,
               minimum = least(r.minimum, excluded.minimum), maximum = greatest(r.maximum, excluded.maximum),
               latest_at = greatest(r.latest_at, excluded.latest_at),
               latest = CASE WHEN excluded.latest_at > r.latest_at THEN excluded.latest
                             WHEN excluded.latest_at < r.latest_at THEN r.latest
                             ELSE greatest(r.latest, excluded.latest) END;
        -- Last, because these are the rows that batches wait for each other at.
        INSERT INTO usage_rollups AS r
            (organization_id, meter_id, slot_at, group_key, events, total, minimum, maximum, latest_at, latest)
        SELECT p_organization_id, d.meter_id, d.slot_at, d.group_key, sum(d.events), sum(d.total),
               min(d.minimum), max(d.maximum), max(d.latest_at),
               (max(ARRAY[extract(epoch FROM d.latest_at), d.latest]) FILTER (WHERE d.latest IS NOT NULL))[2]
          FROM unnest(v_deltas) d
         GROUP BY d.meter_id, d.slot_at, d.group_key
         ORDER BY d.meter_id, d.slot_at, d.group_key COLLATE "C"
        ON CONFLICT (organization_id, meter_id, slot_at, group_key) DO UPDATE
           SET events = r.events + excluded.events, total = r.total + excluded.total,
               minimum = least(r.minimum, excluded.minimum), maximum = greatest(r.maximum, excluded.maximum),
               latest_at = greatest(r.latest_at, excluded.latest_at),
               latest = CASE WHEN excluded.latest_at > r.latest_at THEN excluded.latest
                             WHEN excluded.latest_at < r.latest_at THEN r.latest
                             ELSE greatest(r.latest, excluded.latest) END;
    END IF;
    RETURN v_answer;
END;
$$;

-- Stores a batch for whoever the token belongs to.
CREATE FUNCTION usage_ingest(
    p_digest bytea, p_keys integer[], p_sources text[], p_ids text[], p_subjects text[], p_types text[],
    p_times bigint[], p_properties text[], p_is_atomic boolean
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'usage:write');
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    RETURN usage_store(v_principal.organization_id, p_keys, p_sources, p_ids, p_subjects, p_types, p_times,
                       p_properties, p_is_atomic);
END;
$$;

-- ---------------------------------------------------------------------------
-- Meters: make, list, archive.
-- ---------------------------------------------------------------------------

CREATE FUNCTION meter_json(p_meter meters) RETURNS json
LANGUAGE sql STABLE PARALLEL SAFE
RETURN json_build_object(
    'id', prefixed_id('mtr_', (p_meter).id), 'slug', (p_meter).slug, 'event_type', (p_meter).event_type,
    'aggregation', (p_meter).aggregation, 'value_property', (p_meter).value_property,
    'group_by', (p_meter).group_by, 'filters', (p_meter).filters,
    'created_at', rfc3339((p_meter).created_at), 'archived_at', rfc3339((p_meter).archived_at));

-- The meters of the organization, newest first. There are few: meter_create sees to it.
CREATE FUNCTION meters_list(p_digest bytea) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'usage:read');
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    RETURN json_build_object('outcome', 'listed', 'meters', (
        SELECT coalesce(json_agg(meter_json(m) ORDER BY m.created_at DESC, m.id DESC), '[]'::json)
          FROM meters m WHERE m.organization_id = v_principal.organization_id));
END;
$$;

CREATE FUNCTION meter_read(p_digest bytea, p_slug text) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'usage:read');
    v_meter meters;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    SELECT * INTO v_meter FROM meters
     WHERE organization_id = v_principal.organization_id AND slug = p_slug;
    IF NOT FOUND THEN
        RETURN json_build_object('outcome', 'not_found');
    END IF;
    RETURN json_build_object('outcome', 'found', 'meter', meter_json(v_meter));
END;
$$;

-- Makes a meter. It counts the events of batches that begin after this is
-- acknowledged. A name is used once, so that what it counted can still be asked
-- for when it is archived. Safe to send twice: the id is the caller's.
CREATE FUNCTION meter_create(
    p_digest bytea, p_id uuid, p_slug text, p_event_type text, p_aggregation text, p_value_property text,
    p_group_by text[], p_filters text, p_max_active integer, p_max_ever integer
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_organization_id uuid := (authenticate(p_digest)).organization_id;
    v_hold record;
    v_caller principal;
    v_meter meters;
BEGIN
    -- Holds the organization's row, so that requests side by side do not exceed the limit.
    v_hold := organization_hold(p_digest, v_organization_id, 'meters:manage');
    IF v_hold.refusal IS NOT NULL THEN
        RETURN v_hold.refusal;
    END IF;
    v_caller := v_hold.caller;
    SELECT * INTO v_meter FROM meters WHERE organization_id = v_organization_id AND slug = p_slug;
    IF NOT FOUND THEN
        IF (SELECT count(*) FILTER (WHERE archived_at IS NULL) >= p_max_active OR count(*) >= p_max_ever
              FROM meters WHERE organization_id = v_organization_id) THEN
            RETURN json_build_object('outcome', 'meter_limit');
        END IF;
        INSERT INTO meters (organization_id, id, slug, event_type, aggregation, value_property, group_by, filters,
                            filter_path)
        VALUES (v_organization_id, p_id, p_slug, p_event_type, p_aggregation, p_value_property, p_group_by,
                p_filters::jsonb, usage_filter_path(p_filters::jsonb))
        RETURNING * INTO v_meter;
        PERFORM audit_append(v_organization_id, 'meter.created', v_caller.user_id, prefixed_id('mtr_', p_id),
                             jsonb_build_object('slug', p_slug));
    ELSIF v_meter.id <> p_id THEN
        RETURN json_build_object('outcome', 'meter_exists');
    END IF;
    RETURN json_build_object('outcome', 'created', 'meter', meter_json(v_meter));
END;
$$;

-- Lets a meter count no more; what it has counted stays.
CREATE FUNCTION meter_archive(p_digest bytea, p_slug text) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'meters:manage');
    v_meter meters;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    SELECT * INTO v_meter FROM meters
     WHERE organization_id = v_principal.organization_id AND slug = p_slug FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN json_build_object('outcome', 'not_found');
    END IF;
    IF v_meter.archived_at IS NULL THEN
        UPDATE meters SET archived_at = now()
         WHERE organization_id = v_principal.organization_id AND id = v_meter.id
        RETURNING * INTO v_meter;
        PERFORM audit_append(v_principal.organization_id, 'meter.archived', v_principal.user_id,
                             prefixed_id('mtr_', v_meter.id), jsonb_build_object('slug', p_slug));
    END IF;
    RETURN json_build_object('outcome', 'archived', 'meter', meter_json(v_meter));
END;
$$;

-- ---------------------------------------------------------------------------
-- Summaries.
-- ---------------------------------------------------------------------------

-- Where the buckets of a range begin; the first one at its start.
CREATE FUNCTION usage_bucket_starts(
    p_since timestamptz, p_until timestamptz, p_interval text, p_time_zone text
) RETURNS timestamptz[]
LANGUAGE sql STABLE
RETURN CASE WHEN p_interval = 'hour' THEN
    -- By quarters, because Lord Howe Island moves its clocks by half an hour.
    (SELECT array_agg(hour.start ORDER BY hour.start)
       FROM (SELECT min(s) AS start
               FROM generate_series(p_since, p_until - interval '15 minutes', interval '15 minutes') s
              GROUP BY date_trunc('hour', s, p_time_zone)) hour)
ELSE
    (SELECT array_agg(DISTINCT greatest(local AT TIME ZONE p_time_zone, p_since)
                      ORDER BY greatest(local AT TIME ZONE p_time_zone, p_since))
       FROM generate_series(date_trunc(p_interval, p_since AT TIME ZONE p_time_zone),
                            p_until AT TIME ZONE p_time_zone, ('1 ' || p_interval)::interval) local
      WHERE local AT TIME ZONE p_time_zone < p_until)
END;

-- The part of a group that is asked for.
CREATE FUNCTION usage_group_part(p_group_key text, p_positions integer[]) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN coalesce((SELECT jsonb_agg(p_group_key::jsonb -> (position - 1) ORDER BY n)
                   FROM unnest(p_positions) WITH ORDINALITY u (position, n)), '[]');

-- The value that a meter's sums amount to.
CREATE FUNCTION usage_value(
    p_aggregation text, p_events bigint, p_total numeric, p_minimum numeric, p_maximum numeric, p_latest numeric
) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE p_aggregation
    WHEN 'count' THEN p_events
    WHEN 'sum' THEN coalesce(p_total, 0)
    WHEN 'min' THEN p_minimum
    WHEN 'max' THEN p_maximum
    WHEN 'average' THEN round(p_total / nullif(p_events, 0), 9)
    WHEN 'latest' THEN p_latest
    ELSE coalesce(p_total, 0)
END;

-- What a time-weighted meter has in each bucket, from the events: each value times
-- the seconds until the next one of its subject and group, or until now. A value
-- holds on from before the range for as long as an event can be late, 35 days.
-- Null when there are more events than p_max.
CREATE FUNCTION usage_time_weighted(
    p_meter meters, p_starts timestamptz[], p_until timestamptz, p_subject text, p_positions integer[], p_max integer
) RETURNS TABLE (bucket integer, part jsonb, events bigint, total numeric, is_complete boolean)
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_from timestamptz := p_starts[1] - interval '35 days';
    v_end timestamptz := least(p_until, now());
BEGIN
    IF (SELECT count(*) FROM (
            SELECT 1 FROM usage_events e
             WHERE e.organization_id = p_meter.organization_id AND e.type = p_meter.event_type
               AND e.time >= v_from AND e.time < p_until
             LIMIT p_max + 1) counted) > p_max THEN
        RETURN QUERY SELECT 0, '[]'::jsonb, 0::bigint, 0::numeric, false;
        RETURN;
    END IF;
    RETURN QUERY
    WITH own AS (
        SELECT e.time, e.subject, usage_number(e.properties #> string_to_array(p_meter.value_property, '.')) AS number,
               usage_group_key(e.properties, cardinality(p_meter.group_by),
                   string_to_array(p_meter.group_by[1], '.'), string_to_array(p_meter.group_by[2], '.'),
                   string_to_array(p_meter.group_by[3], '.'), string_to_array(p_meter.group_by[4], '.')) AS group_key
          FROM usage_events e
         WHERE e.organization_id = p_meter.organization_id AND e.type = p_meter.event_type
           AND e.time >= v_from AND e.time < p_until
           AND e.accepted_at >= p_meter.created_at AND e.accepted_at < coalesce(p_meter.archived_at, 'infinity')
           AND (p_subject IS NULL OR e.subject = p_subject)
           AND (p_meter.filter_path IS NULL OR e.properties @@ p_meter.filter_path)
    ), lasting AS (
        SELECT o.time, o.group_key, o.number,
               coalesce(lead(o.time) OVER (PARTITION BY o.subject, o.group_key ORDER BY o.time, o.number), v_end) AS ended
          FROM own o
    ), weighted AS (
        SELECT b AS in_bucket, l.group_key, (l.time >= p_starts[1] AND b = width_bucket(l.time, p_starts))::integer AS began,
               l.number * greatest(extract(epoch FROM
                   least(l.ended, v_end, coalesce(p_starts[b + 1], p_until)) - greatest(l.time, p_starts[b])), 0) AS product
          FROM lasting l,
               generate_series(greatest(width_bucket(l.time, p_starts), 1),
                               greatest(width_bucket(least(l.ended, v_end), p_starts), width_bucket(l.time, p_starts))) b
    )
    SELECT w.in_bucket, usage_group_part(w.group_key, p_positions), sum(w.began)::bigint, sum(w.product), true
      FROM weighted w GROUP BY w.in_bucket, w.group_key;
END;
$$;

-- What a meter counted, in cells: a bucket of a group each, and of each group one
-- for the whole, whose bucket is 0. Nothing is known beforehand of how many groups
-- there are, and a loop in a loop over thousands of them would outlast the
-- statement, so there is none.
CREATE FUNCTION usage_cells(
    p_meter meters, p_starts timestamptz[], p_until timestamptz, p_subject text, p_positions integer[],
    p_max_events integer, OUT o_cells jsonb, OUT o_groups integer, OUT o_is_complete boolean
)
LANGUAGE plpgsql
SET enable_nestloop = off
SET enable_sort = off
SET jit = off
AS $$
BEGIN
    o_is_complete := true;
    IF p_meter.aggregation = 'time_weighted_sum' THEN
        WITH parts AS MATERIALIZED (
            SELECT * FROM usage_time_weighted(p_meter, p_starts, p_until, p_subject, p_positions, p_max_events)
        ), cells AS (
            SELECT coalesce(bucket, 0) AS bucket, part, sum(events) AS events, sum(total) AS value
              FROM parts WHERE is_complete
             GROUP BY GROUPING SETS ((bucket, part), (part))
        )
        SELECT (SELECT bool_and(is_complete) FROM parts), count(DISTINCT part),
               jsonb_agg(jsonb_build_array(bucket, part, events, trim_scale(value)::text))
          INTO o_is_complete, o_groups, o_cells FROM cells;
    ELSIF p_meter.aggregation = 'unique_count' THEN
        WITH own AS MATERIALIZED (
            SELECT width_bucket(u.slot_at, p_starts) AS bucket, u.group_key, u.value
              FROM usage_unique_values u
             WHERE u.organization_id = p_meter.organization_id AND u.meter_id = p_meter.id
               AND u.slot_at >= p_starts[1] AND u.slot_at < p_until
               AND (p_subject IS NULL OR u.subject = p_subject)
             LIMIT p_max_events + 1
        ), by_group AS MATERIALIZED (
            -- The events are in the rollups.
            SELECT width_bucket(r.slot_at, p_starts) AS bucket, r.group_key, sum(r.events) AS events
              FROM usage_rollups r
             WHERE p_subject IS NULL AND r.organization_id = p_meter.organization_id AND r.meter_id = p_meter.id
               AND r.slot_at >= p_starts[1] AND r.slot_at < p_until
             GROUP BY 1, 2
            UNION ALL
            SELECT width_bucket(r.slot_at, p_starts), r.group_key, sum(r.events)
              FROM usage_subject_rollups r
             WHERE r.organization_id = p_meter.organization_id AND r.meter_id = p_meter.id AND r.subject = p_subject
               AND r.slot_at >= p_starts[1] AND r.slot_at < p_until
             GROUP BY 1, 2
        ), named AS MATERIALIZED (
            -- Kept, or each row would be joined to names that are made anew.
            SELECT k.group_key, usage_group_part(k.group_key, p_positions) AS part
              FROM (SELECT DISTINCT group_key FROM by_group) k
        ), parts AS MATERIALIZED (
            SELECT DISTINCT o.bucket, g.part, o.value
              FROM own o JOIN named g ON g.group_key = o.group_key
        ), cells AS (
            SELECT bucket, part, count(*) AS value FROM parts GROUP BY bucket, part
            UNION ALL
            SELECT 0, part, count(DISTINCT value) FROM parts GROUP BY part
        ), events AS (
            SELECT coalesce(b.bucket, 0) AS bucket, g.part, sum(b.events) AS events
              FROM by_group b JOIN named g ON g.group_key = b.group_key
             GROUP BY GROUPING SETS ((b.bucket, g.part), (g.part))
        )
        SELECT (SELECT count(*) FROM own) <= p_max_events, count(DISTINCT c.part),
               jsonb_agg(jsonb_build_array(c.bucket, c.part, e.events, c.value::text))
          INTO o_is_complete, o_groups, o_cells
          FROM cells c JOIN events e ON e.bucket = c.bucket AND e.part = c.part;
    ELSE
        WITH own AS (
            SELECT width_bucket(r.slot_at, p_starts) AS bucket, r.group_key, r.events, r.total, r.minimum, r.maximum,
                   r.latest_at, r.latest
              FROM usage_rollups r
             WHERE p_subject IS NULL AND r.organization_id = p_meter.organization_id AND r.meter_id = p_meter.id
               AND r.slot_at >= p_starts[1] AND r.slot_at < p_until
            UNION ALL
            SELECT width_bucket(r.slot_at, p_starts), r.group_key, r.events, r.total, r.minimum, r.maximum,
                   r.latest_at, r.latest
              FROM usage_subject_rollups r
             WHERE r.organization_id = p_meter.organization_id AND r.meter_id = p_meter.id AND r.subject = p_subject
               AND r.slot_at >= p_starts[1] AND r.slot_at < p_until
        ), by_group AS MATERIALIZED (
            SELECT o.bucket, o.group_key, sum(o.events) AS events, sum(o.total) AS total, min(o.minimum) AS minimum,
                   max(o.maximum) AS maximum,
                   max(ARRAY[extract(epoch FROM o.latest_at), o.latest]) FILTER (WHERE o.latest IS NOT NULL) AS latest
              FROM own o GROUP BY o.bucket, o.group_key
        ), named AS MATERIALIZED (
            -- Kept, or each row would be joined to names that are made anew.
            SELECT k.group_key, usage_group_part(k.group_key, p_positions) AS part
              FROM (SELECT DISTINCT group_key FROM by_group) k
        ), cells AS (
            SELECT coalesce(b.bucket, 0) AS bucket, g.part, sum(b.events) AS events, sum(b.total) AS total,
                   min(b.minimum) AS minimum, max(b.maximum) AS maximum, (max(b.latest))[2] AS latest
              FROM by_group b JOIN named g ON g.group_key = b.group_key
             GROUP BY GROUPING SETS ((b.bucket, g.part), (g.part))
        )
        SELECT count(DISTINCT c.part),
               jsonb_agg(jsonb_build_array(c.bucket, c.part, c.events, trim_scale(usage_value(
                   p_meter.aggregation, c.events::bigint, c.total, c.minimum, c.maximum, c.latest))::text))
          INTO o_groups, o_cells FROM cells c;
    END IF;
END;
$$;

-- What a meter counted from p_since until p_until, both whole quarters of an hour,
-- or both local when p_is_local says so. A bucket without events is there too,
-- for each group that has any, and for all usage when no group is asked for.
CREATE FUNCTION usage_summary(
    p_digest bytea, p_slug text, p_since timestamp, p_until timestamp, p_since_is_local boolean,
    p_until_is_local boolean, p_interval text, p_time_zone text, p_subject text, p_group_by text[],
    p_max_buckets integer, p_max_cells integer, p_max_events integer
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_organization_id uuid := v_principal.organization_id;
    v_refusal json := refusal(v_principal, 'usage:read');
    v_meter meters;
    v_time_zone text := p_time_zone;
    v_since timestamptz;
    v_until timestamptz;
    v_starts timestamptz[];
    v_positions integer[];
    v_found record;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    SELECT * INTO v_meter FROM meters WHERE organization_id = v_organization_id AND slug = p_slug;
    IF NOT FOUND THEN
        RETURN json_build_object('outcome', 'meter_not_found');
    END IF;
    IF v_time_zone IS NULL THEN
        SELECT time_zone INTO v_time_zone FROM organizations WHERE id = v_organization_id;
    ELSIF NOT EXISTS (SELECT 1 FROM time_zones WHERE name = v_time_zone) THEN
        RETURN json_build_object('outcome', 'time_zone_unknown');
    END IF;
    -- Without a range, the month to the end of its day.
    v_since := CASE WHEN p_since IS NULL THEN date_trunc('month', now(), v_time_zone)
                    WHEN p_since_is_local THEN p_since AT TIME ZONE v_time_zone
                    ELSE p_since AT TIME ZONE 'UTC' END;
    v_until := CASE WHEN p_until IS NULL THEN
                         (date_trunc('day', now() AT TIME ZONE v_time_zone) + interval '1 day') AT TIME ZONE v_time_zone
                    WHEN p_until_is_local THEN p_until AT TIME ZONE v_time_zone
                    ELSE p_until AT TIME ZONE 'UTC' END;
    IF v_until <= v_since THEN
        RETURN json_build_object('outcome', 'range_empty');
    END IF;
    -- One less, because a range that begins within a bucket has one more.
    IF v_until > v_since + (p_max_buckets - 1) * (CASE p_interval WHEN 'month' THEN interval '1 month'
                                                  WHEN 'day' THEN interval '1 day' ELSE interval '1 hour' END) THEN
        RETURN json_build_object('outcome', 'range_too_long');
    END IF;
    SELECT array_agg(array_position(v_meter.group_by, g) ORDER BY n) INTO v_positions
      FROM unnest(p_group_by) WITH ORDINALITY u (g, n);
    IF array_position(v_positions, NULL) IS NOT NULL THEN
        RETURN json_build_object('outcome', 'group_unknown', 'group_by', v_meter.group_by);
    END IF;
    v_positions := coalesce(v_positions, '{}');
    v_starts := usage_bucket_starts(v_since, v_until, p_interval, v_time_zone);

    v_found := usage_cells(v_meter, v_starts, v_until, p_subject, v_positions, p_max_events);
    IF NOT coalesce(v_found.o_is_complete, true) THEN
        RETURN json_build_object('outcome', 'too_many_events');
    END IF;
    IF coalesce(v_found.o_groups, 0) * cardinality(v_starts) > p_max_cells THEN
        RETURN json_build_object('outcome', 'too_many_cells');
    END IF;
    RETURN json_build_object(
        'outcome', 'found', 'aggregation', v_meter.aggregation, 'time_zone', v_time_zone,
        'since', rfc3339(v_since), 'until', rfc3339(v_until),
        'starts', (SELECT json_agg(rfc3339(s) ORDER BY n) FROM unnest(v_starts) WITH ORDINALITY u (s, n)),
        'cells', coalesce(v_found.o_cells, '[]'));
END;
$$;

-- ---------------------------------------------------------------------------
-- Upkeep.
-- ---------------------------------------------------------------------------

-- Makes the partitions of the months ahead and drops those whose events are all
-- older than p_retention_months. Keys and sums stay. Of two calls at once one does
-- it, and the other is told so.
CREATE FUNCTION usage_upkeep(p_digest bytea, p_months_ahead integer, p_retention_months integer) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'usage:upkeep');
    v_this_month timestamp := date_trunc('month', now() AT TIME ZONE 'UTC');
    v_month timestamp;
    v_partition text;
    v_created text[] := '{}';
    v_dropped text[] := '{}';
    v_missing text[] := '{}';
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    -- Ends with the transaction, so that nobody who fails keeps it.
    IF NOT pg_try_advisory_xact_lock(hashtext('usage_upkeep')) THEN
        RETURN json_build_object('outcome', 'busy');
    END IF;
    PERFORM time_zones_add();
    FOR v_months IN -2..p_months_ahead LOOP
        v_month := v_this_month + make_interval(months => v_months);
        IF usage_partition_create(v_month) THEN
            v_created := v_created || to_char(v_month, 'YYYY-MM');
        ELSIF to_regclass(usage_partition_name(v_month)) IS NULL THEN
            v_missing := v_missing || to_char(v_month, 'YYYY-MM');
        END IF;
    END LOOP;
    FOR v_partition IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
         WHERE i.inhparent = 'usage_events'::regclass
           -- A name sorts as its month does.
           AND c.relname ~ '^usage_events_[0-9]{4}_[0-9]{2}$'
           AND c.relname < usage_partition_name(v_this_month - make_interval(months => p_retention_months))
         ORDER BY c.relname
    LOOP
        EXECUTE format('DROP TABLE %I', v_partition);
        v_dropped := v_dropped || replace(right(v_partition, 7), '_', '-');
    END LOOP;
    RETURN json_build_object('outcome', 'done', 'created', v_created, 'dropped', v_dropped, 'missing', v_missing);
END;
$$;
