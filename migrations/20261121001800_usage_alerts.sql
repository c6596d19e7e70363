-- Usage alerts: somebody is told when what a meter counted in a day or a month has
-- reached a threshold, once for each threshold and period.
--
-- A threshold fires in the transaction of the batch that reaches it. What decides is a
-- total for each meter, subject and period that an alert looks at, which a batch adds
-- to under that row's lock: of batches side by side each sees those before it, and
-- none of them adds up the period again, which may have a million rollups.

INSERT INTO permissions (name, description, is_platform) VALUES
    ('usage_alerts:manage', 'Make and archive usage alerts', false);
UPDATE roles SET permissions = permissions || ARRAY['usage_alerts:manage']
 WHERE organization_id IS NULL AND name IN ('owner', 'admin');

-- ---------------------------------------------------------------------------
-- Tables.
-- ---------------------------------------------------------------------------

CREATE TABLE usage_alerts (
    organization_id uuid NOT NULL REFERENCES organizations (id),
    id              uuid NOT NULL,
    -- The order in which they were made.
    sequence        bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    name            text NOT NULL,
    meter_id        uuid NOT NULL,
    -- Whose usage it looks at; empty for that of all.
    subject         text COLLATE "C" NOT NULL,
    period          text NOT NULL CHECK (period IN ('day', 'month')),
    -- Ascending.
    thresholds      numeric[] NOT NULL CHECK (cardinality(thresholds) BETWEEN 1 AND 10),
    -- Who is told; null for nobody.
    email           text,
    created_at      timestamptz NOT NULL DEFAULT now(),
    archived_at     timestamptz,
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, meter_id) REFERENCES meters (organization_id, id)
);

-- Serves every batch: an organization without alerts has nothing in there.
CREATE INDEX usage_alerts_active ON usage_alerts (organization_id, meter_id, subject, period) WHERE archived_at IS NULL;
-- Serves the list, newest first.
CREATE UNIQUE INDEX usage_alerts_by_sequence ON usage_alerts (organization_id, sequence);

-- What a meter has counted in a period, as long as an alert waits for more of it.
CREATE TABLE usage_alert_totals (
    organization_id uuid NOT NULL,
    meter_id        uuid NOT NULL,
    subject         text COLLATE "C" NOT NULL,
    period          text NOT NULL,
    started_at      timestamptz NOT NULL,
    ends_at         timestamptz NOT NULL,
    value           numeric NOT NULL,
    -- The lowest threshold that was not looked at yet; null when none is left, and
    -- the value is kept no more.
    next_threshold  numeric,
    -- Whether it was summed up for another time zone and nothing was added since:
    -- what it has reached fires with what is added next.
    is_unfired      boolean NOT NULL DEFAULT false,
    PRIMARY KEY (organization_id, meter_id, subject, period, started_at)
) WITH (fillfactor = 50);
-- The fill factor leaves room for the next versions of a row, as in usage_rollups.

CREATE TABLE usage_alert_firings (
    organization_id   uuid NOT NULL,
    alert_id          uuid NOT NULL,
    period_started_at timestamptz NOT NULL,
    period_ends_at    timestamptz NOT NULL,
    threshold         numeric NOT NULL,
    sequence          bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    -- What the meter had counted at that moment.
    value             numeric NOT NULL CHECK (value >= threshold),
    fired_at          timestamptz NOT NULL DEFAULT now(),
    -- Of whoever fires a threshold twice the second finds it here.
    PRIMARY KEY (organization_id, alert_id, period_started_at, threshold),
    FOREIGN KEY (organization_id, alert_id) REFERENCES usage_alerts (organization_id, id)
);

-- Serve the lists, newest first: of the organization, and of an alert.
CREATE UNIQUE INDEX usage_alert_firings_by_sequence ON usage_alert_firings (organization_id, sequence);
CREATE INDEX usage_alert_firings_by_alert ON usage_alert_firings (organization_id, alert_id, sequence);

-- ---------------------------------------------------------------------------
-- Periods and totals.
-- ---------------------------------------------------------------------------

-- When the day or the month began that a time is in. A day whose midnight clocks skip
-- begins where they go on; one whose midnight comes twice begins at the second, as in
-- a summary.
CREATE FUNCTION usage_alert_period_start(p_period text, p_time timestamptz, p_time_zone text) RETURNS timestamptz
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    v_local timestamp := date_trunc(p_period, p_time AT TIME ZONE p_time_zone);
BEGIN
    IF v_local AT TIME ZONE p_time_zone > p_time THEN
        v_local := v_local - CASE p_period WHEN 'month' THEN interval '1 month' ELSE interval '1 day' END;
    END IF;
    RETURN v_local AT TIME ZONE p_time_zone;
END;
$$;

-- When a period ends that began at that time.
CREATE FUNCTION usage_alert_period_end(p_period text, p_started_at timestamptz, p_time_zone text) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (date_trunc(p_period, p_started_at AT TIME ZONE p_time_zone)
        + CASE p_period WHEN 'month' THEN interval '1 month' ELSE interval '1 day' END) AT TIME ZONE p_time_zone;

-- What a meter counted in each quarter of an hour of a range, for a subject or, when
-- that is empty, for all.
CREATE FUNCTION usage_alert_slots(
    p_organization_id uuid, p_meter_id uuid, p_subject text, p_since timestamptz, p_until timestamptz
) RETURNS TABLE (slot_at timestamptz, value numeric)
LANGUAGE sql STABLE AS $$
    SELECT s.slot_at, usage_value(m.aggregation, s.events, s.total, NULL, NULL, NULL)
      FROM meters m, LATERAL (
          SELECT r.slot_at, sum(r.events)::bigint AS events, sum(r.total) AS total
            FROM usage_rollups r
           WHERE p_subject = '' AND r.organization_id = p_organization_id AND r.meter_id = p_meter_id
             AND r.slot_at >= p_since AND r.slot_at < p_until
           GROUP BY r.slot_at
          UNION ALL
          SELECT r.slot_at, sum(r.events)::bigint, sum(r.total)
            FROM usage_subject_rollups r
           WHERE p_subject <> '' AND r.organization_id = p_organization_id AND r.meter_id = p_meter_id
             AND r.subject = p_subject AND r.slot_at >= p_since AND r.slot_at < p_until
           GROUP BY r.slot_at) s
     WHERE m.organization_id = p_organization_id AND m.id = p_meter_id
$$;

-- The lowest threshold above a value of the alerts that look at a total, or the lowest
-- of all when there is no value.
CREATE FUNCTION usage_alert_next_threshold(
    p_organization_id uuid, p_meter_id uuid, p_subject text, p_period text, p_value numeric
) RETURNS numeric
LANGUAGE sql STABLE AS $$
    SELECT min(t.threshold)
      FROM usage_alerts a, unnest(a.thresholds) t (threshold)
     WHERE a.organization_id = p_organization_id AND a.meter_id = p_meter_id AND a.subject = p_subject
       AND a.period = p_period AND a.archived_at IS NULL AND (p_value IS NULL OR t.threshold > p_value)
$$;

-- Sums up a total anew, in every period for which events can still come. Whoever calls
-- holds the organization alone.
CREATE FUNCTION usage_alert_totals_sum(
    p_organization_id uuid, p_meter_id uuid, p_subject text, p_period text, p_time_zone text, p_is_unfired boolean
) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM usage_alert_totals t
     WHERE t.organization_id = p_organization_id AND t.meter_id = p_meter_id AND t.subject = p_subject
       AND t.period = p_period;
    WITH counted AS MATERIALIZED (
        SELECT usage_alert_period_start(p_period, s.slot_at, p_time_zone) AS started_at, s.value
          FROM usage_alert_slots(
                   p_organization_id, p_meter_id, p_subject,
                   usage_alert_period_start(p_period, now() - interval '35 days', p_time_zone), 'infinity') s
    )
    INSERT INTO usage_alert_totals
        (organization_id, meter_id, subject, period, started_at, ends_at, value, next_threshold, is_unfired)
    SELECT p_organization_id, p_meter_id, p_subject, p_period, c.started_at,
           usage_alert_period_end(p_period, c.started_at, p_time_zone), sum(c.value),
           usage_alert_next_threshold(p_organization_id, p_meter_id, p_subject, p_period, NULL), p_is_unfired
      FROM counted c
     GROUP BY c.started_at;
END;
$$;

-- How many messages of an alert are written in a day to an address that is no verified
-- member's: all ten thresholds of two periods. A batch may reach those of 36 days, and
-- each time zone begins other ones, and nobody else is to be flooded with mail. It is
-- counted without a lock, by the alert's firings: batches side by side may exceed it by
-- what each of them fires.
CREATE FUNCTION usage_alert_messages_per_day() RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN 20;

-- How many messages of an alert may be written now; null for any number.
CREATE FUNCTION usage_alert_messages_left(p_organization_id uuid, p_alert_id uuid, p_email text) RETURNS bigint
LANGUAGE sql STABLE AS $$
    SELECT usage_alert_messages_per_day() - (
               SELECT count(*)
                 FROM (SELECT f.fired_at FROM usage_alert_firings f
                        WHERE f.organization_id = p_organization_id AND f.alert_id = p_alert_id
                        ORDER BY f.sequence DESC LIMIT usage_alert_messages_per_day()) f
                WHERE f.fired_at > now() - interval '1 day')
     WHERE NOT EXISTS (SELECT 1 FROM users u JOIN memberships m ON m.user_id = u.id
                        WHERE u.email = p_email AND u.email_verified_at IS NOT NULL
                          AND m.organization_id = p_organization_id)
$$;

-- Fires what a total has reached and did not fire before, with a message to whoever is
-- to be told. The message is written once; the sender of the outbox hands it over at
-- least once.
CREATE FUNCTION usage_alerts_fire(p_total usage_alert_totals, p_time_zone text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_firing record;
BEGIN
    FOR v_firing IN
        WITH fired AS (
            INSERT INTO usage_alert_firings AS f
                (organization_id, alert_id, period_started_at, period_ends_at, threshold, value)
            SELECT a.organization_id, a.id, p_total.started_at, p_total.ends_at, t.threshold, p_total.value
              FROM usage_alerts a, unnest(a.thresholds) t (threshold)
             WHERE a.organization_id = p_total.organization_id AND a.meter_id = p_total.meter_id
               AND a.subject = p_total.subject AND a.period = p_total.period AND a.archived_at IS NULL
               AND t.threshold <= p_total.value
             ORDER BY a.id, t.threshold
            ON CONFLICT DO NOTHING
            RETURNING f.alert_id, f.threshold
        )
        SELECT a.name, a.email, f.threshold, m.slug, o.name AS organization_name
          FROM (SELECT f.alert_id, f.threshold,
                       row_number() OVER (PARTITION BY f.alert_id ORDER BY f.threshold DESC) AS n FROM fired f) f
          JOIN usage_alerts a ON a.organization_id = p_total.organization_id AND a.id = f.alert_id
          JOIN meters m ON m.organization_id = a.organization_id AND m.id = a.meter_id
          JOIN organizations o ON o.id = a.organization_id
         WHERE a.email IS NOT NULL
           AND f.n <= coalesce(usage_alert_messages_left(a.organization_id, a.id, a.email), f.n)
         ORDER BY a.id, f.threshold
    LOOP
        PERFORM outbox_add(gen_random_uuid(), 'usage_alert', v_firing.email, NULL, jsonb_build_object(
            'organization_name', v_firing.organization_name, 'alert_name', v_firing.name, 'meter', v_firing.slug,
            'subject', nullif(p_total.subject, ''), 'threshold', trim_scale(v_firing.threshold)::text,
            'value', trim_scale(p_total.value)::text, 'time_zone', p_time_zone,
            'period', to_char(p_total.started_at AT TIME ZONE p_time_zone,
                              CASE p_total.period WHEN 'month' THEN 'YYYY-MM' ELSE 'YYYY-MM-DD' END)));
    END LOOP;
    UPDATE usage_alert_totals t
       SET next_threshold = usage_alert_next_threshold(
               t.organization_id, t.meter_id, t.subject, t.period, p_total.value)
     WHERE t.organization_id = p_total.organization_id AND t.meter_id = p_total.meter_id
       AND t.subject = p_total.subject AND t.period = p_total.period AND t.started_at = p_total.started_at;
END;
$$;

-- ---------------------------------------------------------------------------
-- Who waits for whom. A total is right if every batch adds to it that its first sum
-- did not see. A batch that is under way while an alert is made does not know of the
-- alert, and would be in neither. So batches hold their organization together, and
-- whoever makes or archives an alert or changes the zone of its days holds it alone:
-- it waits until the batches have ended that began before, which is 1.5 s at most, and
-- those that come meanwhile wait for it. Two organizations of one hash wait for each
-- other, and nothing worse.
-- ---------------------------------------------------------------------------

CREATE FUNCTION usage_alerts_hold_together(p_organization_id uuid) RETURNS void
LANGUAGE sql
RETURN pg_advisory_xact_lock_shared(hashtext('usage_alerts'), hashtext(p_organization_id::text));

CREATE FUNCTION usage_alerts_hold_alone(p_organization_id uuid) RETURNS void
LANGUAGE sql
RETURN pg_advisory_xact_lock(hashtext('usage_alerts'), hashtext(p_organization_id::text));

-- Adds what a batch counted to the totals that alerts look at, and fires what they
-- reach. Called after everything else that a batch does, and by batches in one order,
-- so that they cannot wait for each other in a circle. Whoever calls holds the
-- organization.
--
-- A total that is not there yet begins as the sum of what is committed and of this
-- batch. A batch that the sum did not see has not added to a total either, because
-- there was none; so it meets this one, waits for its row, and adds to it.
CREATE FUNCTION usage_alerts_count(p_organization_id uuid, p_deltas usage_delta[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_time_zone text;
    v_added record;
    v_total usage_alert_totals;
BEGIN
    IF p_deltas IS NULL OR NOT EXISTS (
            SELECT 1 FROM usage_alerts WHERE organization_id = p_organization_id AND archived_at IS NULL) THEN
        RETURN;
    END IF;
    SELECT time_zone INTO v_time_zone FROM organizations WHERE id = p_organization_id;
    FOR v_added IN
        WITH watched AS MATERIALIZED (
            SELECT DISTINCT a.meter_id, a.subject, a.period
              FROM usage_alerts a
             WHERE a.organization_id = p_organization_id AND a.archived_at IS NULL
        ), by_slot AS MATERIALIZED (
            SELECT w.meter_id, w.subject, w.period, d.slot_at,
                   usage_value(m.aggregation, sum(d.events)::bigint, sum(d.total), NULL, NULL, NULL) AS value
              FROM watched w
              JOIN meters m ON m.organization_id = p_organization_id AND m.id = w.meter_id
              JOIN unnest(p_deltas) d ON d.meter_id = w.meter_id
             WHERE w.subject = '' OR w.subject = d.subject
             GROUP BY w.meter_id, w.subject, w.period, m.aggregation, d.slot_at
        )
        SELECT s.meter_id, s.subject, s.period, sum(s.value) AS value,
               usage_alert_period_start(s.period, s.slot_at, v_time_zone) AS started_at
          FROM by_slot s
         GROUP BY 1, 2, 3, 5
         -- The newest period first: it is the one to be told of if not all can be.
         ORDER BY 1, 2, 3, 5 DESC
    LOOP
        -- Where everything has fired there is nothing to add to, and nobody to wait for.
        CONTINUE WHEN EXISTS (
            SELECT 1 FROM usage_alert_totals t
             WHERE t.organization_id = p_organization_id AND t.meter_id = v_added.meter_id
               AND t.subject = v_added.subject AND t.period = v_added.period AND t.started_at = v_added.started_at
               AND t.next_threshold IS NULL);
        UPDATE usage_alert_totals t
           SET value = t.value + v_added.value, is_unfired = false
         WHERE t.organization_id = p_organization_id AND t.meter_id = v_added.meter_id
           AND t.subject = v_added.subject AND t.period = v_added.period AND t.started_at = v_added.started_at
           AND t.next_threshold IS NOT NULL
        RETURNING * INTO v_total;
        IF NOT FOUND THEN
            v_total.ends_at := usage_alert_period_end(v_added.period, v_added.started_at, v_time_zone);
            INSERT INTO usage_alert_totals AS t
                (organization_id, meter_id, subject, period, started_at, ends_at, value, next_threshold)
            VALUES (p_organization_id, v_added.meter_id, v_added.subject, v_added.period, v_added.started_at,
                    v_total.ends_at,
                    (SELECT coalesce(sum(s.value), 0)
                       FROM usage_alert_slots(p_organization_id, v_added.meter_id, v_added.subject,
                                              v_added.started_at, v_total.ends_at) s),
                    usage_alert_next_threshold(p_organization_id, v_added.meter_id, v_added.subject, v_added.period, NULL))
            ON CONFLICT (organization_id, meter_id, subject, period, started_at)
            DO UPDATE SET value = t.value + v_added.value, is_unfired = false WHERE t.next_threshold IS NOT NULL
            RETURNING * INTO v_total;
            -- It fired its last threshold while this batch waited for it.
            CONTINUE WHEN NOT FOUND;
            -- No event comes for what ended more than 35 days ago.
            DELETE FROM usage_alert_totals t
             WHERE t.organization_id = p_organization_id AND t.meter_id = v_added.meter_id
               AND t.subject = v_added.subject AND t.period = v_added.period
               AND t.ends_at < now() - interval '36 days';
        END IF;
        IF v_total.value >= v_total.next_threshold THEN
            PERFORM usage_alerts_fire(v_total, v_time_zone);
        END IF;
    END LOOP;
END;
$$;

-- Other days and months begin. They are summed up here and not by the next batch: of
-- many alerts on much usage that may take longer than a statement may, and it is better
-- that the zone cannot be changed than that no batch can be stored.
CREATE FUNCTION usage_alerts_follow_time_zone() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    v_watched record;
BEGIN
    PERFORM usage_alerts_hold_alone(NEW.id);
    DELETE FROM usage_alert_totals WHERE organization_id = NEW.id;
    FOR v_watched IN
        SELECT DISTINCT a.meter_id, a.subject, a.period
          FROM usage_alerts a
         WHERE a.organization_id = NEW.id AND a.archived_at IS NULL
    LOOP
        PERFORM usage_alert_totals_sum(
            NEW.id, v_watched.meter_id, v_watched.subject, v_watched.period, NEW.time_zone, true);
    END LOOP;
    RETURN NULL;
END;
$$;
CREATE TRIGGER usage_alerts_follow_time_zone AFTER UPDATE OF time_zone ON organizations
    FOR EACH ROW WHEN (OLD.time_zone <> NEW.time_zone) EXECUTE FUNCTION usage_alerts_follow_time_zone();

-- ---------------------------------------------------------------------------
-- Ingest.
-- ---------------------------------------------------------------------------

-- As usage_store was, and also hands out what the batch added to each quarter. Its
-- settings hold for whatever it calls, so what comes after it is called by others.
CREATE FUNCTION usage_batch_store(
    p_organization_id uuid, p_keys integer[], p_sources text[], p_ids text[], p_subjects text[], p_types text[],
    p_times bigint[], p_properties text[], p_is_atomic boolean, OUT answer json, OUT deltas usage_delta[]
)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_nestloop = off
SET enable_sort = off
SET jit = off
AS $$
DECLARE
    v_closed_until timestamptz;
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
    ), added AS (
        SELECT c.meter_id, c.slot_at, c.group_key, c.subject, count(*) AS events, sum(c.number) AS total,
               min(c.number) AS minimum, max(c.number) AS maximum, max(c.time) AS latest_at,
               -- Of two at the same moment the larger, so that no order of arrival matters.
               (max(ARRAY[extract(epoch FROM c.time), c.number]) FILTER (WHERE c.aggregation = 'latest'))[2] AS latest
          FROM counted c
         GROUP BY c.meter_id, c.slot_at, c.group_key, c.subject
    )
    SELECT json_build_object(
               'outcome', 'stored',
               'organization_id', prefixed_id('org_', p_organization_id),
               'accepted', (SELECT coalesce(json_agg(a.n), '[]'::json) FROM accepted a),
               'adjustments', (SELECT coalesce(json_agg(a.n), '[]'::json) FROM accepted a WHERE a.is_adjustment),
               'problems', (SELECT coalesce(json_agg(p), '[]'::json) FROM problems p)),
           (SELECT array_agg(ROW(d.*)::usage_delta) FROM added d)
      INTO answer, deltas;

    IF deltas IS NOT NULL THEN
        INSERT INTO usage_subject_rollups AS r
            (organization_id, meter_id, subject, slot_at, group_key,
             events, total, minimum, maximum, latest_at, latest)
        SELECT p_organization_id, d.meter_id, d.subject, d.slot_at, d.group_key,
               d.events, d.total, d.minimum, d.maximum, d.latest_at, d.latest
          FROM unnest(deltas) d
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
          FROM unnest(deltas) d
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
END;
$$;

-- The same for whoever has no use for the deltas.
CREATE OR REPLACE FUNCTION usage_store(
    p_organization_id uuid, p_keys integer[], p_sources text[], p_ids text[], p_subjects text[], p_types text[],
    p_times bigint[], p_properties text[], p_is_atomic boolean
) RETURNS json
LANGUAGE sql AS $$
    SELECT answer FROM usage_batch_store(
        p_organization_id, p_keys, p_sources, p_ids, p_subjects, p_types, p_times, p_properties, p_is_atomic)
$$;

-- Stores a batch for whoever the token belongs to, and fires the alerts that it sets
-- off. Sent twice, the second stores no event, adds nothing and fires nothing.
CREATE OR REPLACE FUNCTION usage_ingest(
    p_digest bytea, p_keys integer[], p_sources text[], p_ids text[], p_subjects text[], p_types text[],
    p_times bigint[], p_properties text[], p_is_atomic boolean
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'usage:write');
    v_stored record;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    PERFORM usage_alerts_hold_together(v_principal.organization_id);
    v_stored := usage_batch_store(v_principal.organization_id, p_keys, p_sources, p_ids, p_subjects, p_types,
                                  p_times, p_properties, p_is_atomic);
    PERFORM usage_alerts_count(v_principal.organization_id, v_stored.deltas);
    RETURN v_stored.answer;
END;
$$;

-- ---------------------------------------------------------------------------
-- Alerts: make, list, read, archive.
-- ---------------------------------------------------------------------------

CREATE FUNCTION usage_alert_json(p_alert usage_alerts) RETURNS json
LANGUAGE sql STABLE
RETURN json_build_object(
    'id', prefixed_id('ual_', (p_alert).id), 'name', (p_alert).name,
    'meter', (SELECT m.slug FROM meters m
               WHERE m.organization_id = (p_alert).organization_id AND m.id = (p_alert).meter_id),
    'subject', nullif((p_alert).subject, ''), 'period', (p_alert).period,
    'thresholds', (SELECT json_agg(trim_scale(t.threshold)::text ORDER BY t.threshold)
                     FROM unnest((p_alert).thresholds) t (threshold)),
    'email', (p_alert).email, 'created_at', rfc3339((p_alert).created_at),
    'archived_at', rfc3339((p_alert).archived_at));

-- Makes an alert, and fires what has been reached already in the periods that have not
-- ended. Of the periods before, for which events can still come, it sums up what is
-- there, so that no batch has to. Safe to send twice: the id is the caller's.
CREATE FUNCTION usage_alert_create(
    p_digest bytea, p_id uuid, p_name text, p_meter text, p_subject text, p_period text, p_thresholds numeric[],
    p_email text, p_max_active integer, p_max_per_email integer
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_organization_id uuid := (authenticate(p_digest)).organization_id;
    v_hold record;
    v_caller principal;
    v_alert usage_alerts;
    v_meter meters;
    v_wait interval;
    v_time_zone text;
    v_total usage_alert_totals;
BEGIN
    -- Holds the organization's row, so that requests side by side do not exceed the limit.
    v_hold := organization_hold(p_digest, v_organization_id, 'usage_alerts:manage');
    IF v_hold.refusal IS NOT NULL THEN
        RETURN v_hold.refusal;
    END IF;
    v_caller := v_hold.caller;
    SELECT * INTO v_alert FROM usage_alerts WHERE organization_id = v_organization_id AND id = p_id;
    IF FOUND THEN
        RETURN json_build_object('outcome', 'created', 'alert', usage_alert_json(v_alert));
    END IF;
    SELECT * INTO v_meter FROM meters WHERE organization_id = v_organization_id AND slug = p_meter;
    IF NOT FOUND THEN
        RETURN json_build_object('outcome', 'meter_unknown');
    ELSIF v_meter.aggregation NOT IN ('count', 'sum') THEN
        RETURN json_build_object('outcome', 'meter_not_additive');
    ELSIF v_meter.archived_at IS NOT NULL THEN
        RETURN json_build_object('outcome', 'meter_archived');
    END IF;
    IF (SELECT count(*) FROM usage_alerts
         WHERE organization_id = v_organization_id AND archived_at IS NULL) >= p_max_active THEN
        RETURN json_build_object('outcome', 'usage_alert_limit');
    END IF;
    -- A member who proved the address can be told as often as the organization likes;
    -- nobody else is flooded with mail.
    IF p_email IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM users u JOIN memberships m ON m.user_id = u.id
             WHERE u.email = p_email AND u.email_verified_at IS NOT NULL AND m.organization_id = v_organization_id) THEN
        v_wait := mail_quota_take('email:' || p_email, p_max_per_email);
        IF v_wait IS NOT NULL THEN
            RETURN json_build_object('outcome', 'too_many_mails',
                                     'retry_after_secs', greatest(1, ceil(extract(epoch FROM v_wait)))::integer);
        END IF;
    END IF;

    PERFORM usage_alerts_hold_alone(v_organization_id);
    SELECT time_zone INTO v_time_zone FROM organizations WHERE id = v_organization_id;
    INSERT INTO usage_alerts (organization_id, id, name, meter_id, subject, period, thresholds, email)
    VALUES (v_organization_id, p_id, p_name, v_meter.id, coalesce(p_subject, ''), p_period, p_thresholds, p_email)
    RETURNING * INTO v_alert;
    -- Anew, because a total is not kept while no alert waits for more of it.
    PERFORM usage_alert_totals_sum(
        v_organization_id, v_meter.id, v_alert.subject, p_period, v_time_zone, false);
    FOR v_total IN
        SELECT * FROM usage_alert_totals t
         WHERE t.organization_id = v_organization_id AND t.meter_id = v_meter.id AND t.subject = v_alert.subject
           AND t.period = p_period AND t.ends_at > now() AND t.value >= t.next_threshold
         ORDER BY t.started_at
    LOOP
        PERFORM usage_alerts_fire(v_total, v_time_zone);
    END LOOP;
    PERFORM audit_append(v_organization_id, 'usage_alert.created', v_caller.user_id, prefixed_id('ual_', p_id),
                         jsonb_build_object('name', p_name));
    RETURN json_build_object('outcome', 'created', 'alert', usage_alert_json(v_alert));
END;
$$;

-- The organization's alerts before a position, newest first, and one more than asked
-- for if there is one.
CREATE FUNCTION usage_alerts_list(p_digest bytea, p_limit integer, p_before bigint) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'usage:read');
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    RETURN json_build_object('outcome', 'listed', 'rows', (
        SELECT coalesce(json_agg(json_build_object('sequence', a.sequence, 'alert', usage_alert_json(a::usage_alerts))
                                 ORDER BY a.sequence DESC), '[]'::json)
          FROM (SELECT * FROM usage_alerts
                 WHERE organization_id = v_principal.organization_id AND sequence < p_before
                 ORDER BY sequence DESC LIMIT p_limit + 1) a));
END;
$$;

CREATE FUNCTION usage_alert_read(p_digest bytea, p_id uuid) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'usage:read');
    v_alert usage_alerts;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    SELECT * INTO v_alert FROM usage_alerts WHERE organization_id = v_principal.organization_id AND id = p_id;
    IF NOT FOUND THEN
        RETURN json_build_object('outcome', 'not_found');
    END IF;
    RETURN json_build_object('outcome', 'found', 'alert', usage_alert_json(v_alert));
END;
$$;

-- Lets an alert fire no more; what it fired stays.
CREATE FUNCTION usage_alert_archive(p_digest bytea, p_id uuid) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'usage_alerts:manage');
    v_alert usage_alerts;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    SELECT * INTO v_alert FROM usage_alerts WHERE organization_id = v_principal.organization_id AND id = p_id;
    IF NOT FOUND THEN
        RETURN json_build_object('outcome', 'not_found');
    END IF;
    IF v_alert.archived_at IS NULL THEN
        -- So that no batch that took it for active fires it after the answer.
        PERFORM usage_alerts_hold_alone(v_principal.organization_id);
        UPDATE usage_alerts SET archived_at = now()
         WHERE organization_id = v_principal.organization_id AND id = p_id AND archived_at IS NULL;
        IF FOUND THEN
            PERFORM audit_append(v_principal.organization_id, 'usage_alert.archived', v_principal.user_id,
                                 prefixed_id('ual_', p_id), jsonb_build_object('name', v_alert.name));
        END IF;
        SELECT * INTO v_alert FROM usage_alerts WHERE organization_id = v_principal.organization_id AND id = p_id;
    END IF;
    RETURN json_build_object('outcome', 'archived', 'alert', usage_alert_json(v_alert));
END;
$$;

CREATE FUNCTION usage_alert_firing_json(p_firing usage_alert_firings) RETURNS json
LANGUAGE sql STABLE PARALLEL SAFE
RETURN json_build_object(
    'alert_id', prefixed_id('ual_', (p_firing).alert_id), 'threshold', trim_scale((p_firing).threshold)::text,
    'value', trim_scale((p_firing).value)::text, 'period_started_at', rfc3339((p_firing).period_started_at),
    'period_ends_at', rfc3339((p_firing).period_ends_at), 'fired_at', rfc3339((p_firing).fired_at));

-- What fired, newest first: of an alert, or of the whole organization when it is null.
CREATE FUNCTION usage_alert_firings_list(p_digest bytea, p_alert_id uuid, p_limit integer, p_before bigint) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'usage:read');
    v_rows json;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    IF p_alert_id IS NULL THEN
        SELECT json_agg(json_build_object('sequence', f.sequence, 'firing', usage_alert_firing_json(f::usage_alert_firings))
                        ORDER BY f.sequence DESC) INTO v_rows
          FROM (SELECT * FROM usage_alert_firings
                 WHERE organization_id = v_principal.organization_id AND sequence < p_before
                 ORDER BY sequence DESC LIMIT p_limit + 1) f;
    ELSIF NOT EXISTS (SELECT 1 FROM usage_alerts
                       WHERE organization_id = v_principal.organization_id AND id = p_alert_id) THEN
        RETURN json_build_object('outcome', 'not_found');
    ELSE
        SELECT json_agg(json_build_object('sequence', f.sequence, 'firing', usage_alert_firing_json(f::usage_alert_firings))
                        ORDER BY f.sequence DESC) INTO v_rows
          FROM (SELECT * FROM usage_alert_firings
                 WHERE organization_id = v_principal.organization_id AND alert_id = p_alert_id AND sequence < p_before
                 ORDER BY sequence DESC LIMIT p_limit + 1) f;
    END IF;
    RETURN json_build_object('outcome', 'fired', 'rows', coalesce(v_rows, '[]'::json));
END;
$$;

-- ---------------------------------------------------------------------------
-- What must always hold.
-- ---------------------------------------------------------------------------

-- Totals that are not the sums of their rollups, thresholds that were reached and did
-- not fire, and firings of what is no threshold of the alert. A period that was over
-- before the newest alert on it was made is left out, and one that began with another
-- time zone: it fires when an event comes.
CREATE FUNCTION usage_alert_violations() RETURNS TABLE (organization_id uuid, violation text)
LANGUAGE sql STABLE AS $$
    WITH kept AS (
        SELECT t.*, (SELECT coalesce(sum(s.value), 0)
                       FROM usage_alert_slots(t.organization_id, t.meter_id, t.subject, t.started_at, t.ends_at) s) AS counted,
               (SELECT max(a.created_at) FROM usage_alerts a
                 WHERE a.organization_id = t.organization_id AND a.meter_id = t.meter_id AND a.subject = t.subject
                   AND a.period = t.period AND a.archived_at IS NULL) AS watched_since
          FROM usage_alert_totals t
    )
    SELECT k.organization_id, format('the total from %s is %s, and %s was counted', k.started_at, k.value, k.counted)
      FROM kept k
     WHERE k.watched_since IS NOT NULL AND k.next_threshold IS NOT NULL AND k.value <> k.counted
    UNION ALL
    SELECT k.organization_id, format('%s of alert %s from %s was reached and did not fire', h.threshold, a.id, k.started_at)
      FROM kept k
      JOIN usage_alerts a ON a.organization_id = k.organization_id AND a.meter_id = k.meter_id
           AND a.subject = k.subject AND a.period = k.period AND a.archived_at IS NULL
     CROSS JOIN LATERAL unnest(a.thresholds) h (threshold)
     WHERE k.ends_at > k.watched_since AND NOT k.is_unfired AND (k.next_threshold IS NULL OR h.threshold <= k.counted)
       AND NOT EXISTS (SELECT 1 FROM usage_alert_firings f
                        WHERE f.organization_id = a.organization_id AND f.alert_id = a.id
                          AND f.period_started_at = k.started_at AND f.threshold = h.threshold)
    UNION ALL
    SELECT f.organization_id, format('%s fired and is no threshold of alert %s', f.threshold, f.alert_id)
      FROM usage_alert_firings f
      JOIN usage_alerts a ON a.organization_id = f.organization_id AND a.id = f.alert_id
     WHERE f.threshold <> ALL (a.thresholds)
$$;
