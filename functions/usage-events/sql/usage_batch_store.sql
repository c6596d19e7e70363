-- Stores a batch of an organization: the events, their keys and what the meters make of
-- them, in one transaction. It hands out what the batch added to each quarter of an hour.
--
-- The arrays are in the order of source and id, so that batches side by side take their
-- keys in one order and cannot wait for each other in a circle. Rollups come after all
-- keys, in one order too. p_keys numbers the distinct keys of the batch. Of events with
-- one key the first that is not rejected counts. An atomic batch with a rejected event
-- stores nothing.
--
-- The plan is kept: planning takes 2 ms, as long as a tenth of the work. Without
-- statistics about arrays a plan may nest loops over a thousand rows each, which is a
-- million steps, and so it may not. The settings hold for whatever is called from here.
-- So nothing is called that looks at large tables by nested loops.
CREATE OR REPLACE FUNCTION usage_batch_store(
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
    ), measured AS MATERIALIZED (
        SELECT l.*, CASE WHEN l.aggregation NOT IN ('count', 'unique_count') THEN usage_number(l.value) END AS number
          FROM (SELECT i.n, i.time, i.subject, a.id AS meter_id, a.aggregation, a.value_property,
                       usage_property(i.properties, a.value_path) AS value,
                       usage_group_key(i.properties, a.groups, a.path_1, a.path_2, a.path_3, a.path_4) AS group_key
                  FROM input i JOIN active a ON a.event_type = i.type
                 WHERE a.filter_path IS NULL OR i.properties @@ a.filter_path
                -- Kept apart, so that a property is looked up once.
                OFFSET 0) l
    ), problems AS MATERIALIZED (
        SELECT DISTINCT p.n, p.field, p.code
          FROM (SELECT m.n,
                       CASE WHEN octet_length(m.group_key) > 1024 THEN 'properties' ELSE 'properties.' || m.value_property END AS field,
                       CASE WHEN octet_length(m.group_key) > 1024 THEN 'group_too_long'
                            WHEN m.number IS NOT NULL OR m.aggregation = 'count' THEN NULL
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
        -- In the order of their keys: what is alike is close together, and is compressed better.
        INSERT INTO usage_event_batches (organization_id, time, accepted_at, events)
        SELECT p_organization_id, min(a.time), now(),
               array_agg(ROW(a.time, coalesce(a.is_adjustment, false), a.type, a.source, a.id, a.subject,
                             a.properties)::usage_event ORDER BY a.n)
          FROM accepted a
         GROUP BY date_trunc('month', a.time, 'UTC')
    ), counted AS MATERIALIZED (
        SELECT m.*, date_bin('15 minutes', m.time, 'epoch') AS slot_at
          FROM measured m JOIN accepted a ON a.n = m.n
    ), uniques AS (
        INSERT INTO usage_unique_values (organization_id, meter_id, slot_at, group_key, subject, value)
        SELECT DISTINCT p_organization_id, c.meter_id, c.slot_at, c.group_key, c.subject,
               substring(sha256(convert_to(c.value::text, 'UTF8')) FOR 16) AS value
          FROM counted c
         WHERE c.aggregation = 'unique_count'
         ORDER BY 2, 3, 4, 5, 6
        ON CONFLICT DO NOTHING
    ), told AS MATERIALIZED (
        SELECT c.meter_id, c.subject, c.group_key, c.time, max(c.number) AS level, count(*) AS events
          FROM counted c
         WHERE c.aggregation = 'time_weighted_sum'
         GROUP BY c.meter_id, c.subject, c.group_key, c.time
    ), levels AS (
        INSERT INTO usage_levels AS l (organization_id, meter_id, subject, group_key, time, level, events)
        SELECT p_organization_id, t.meter_id, t.subject, t.group_key, t.time, t.level, t.events
          FROM told t
         ORDER BY t.meter_id, t.subject, t.group_key, t.time
        ON CONFLICT (organization_id, meter_id, subject, group_key, time) DO UPDATE
           SET level = greatest(l.level, excluded.level), events = l.events + excluded.events
    ), series AS (
        INSERT INTO usage_level_series (organization_id, meter_id, subject, group_key)
        SELECT DISTINCT p_organization_id, t.meter_id, t.subject, t.group_key
          FROM told t
         ORDER BY 2, 3, 4
        ON CONFLICT DO NOTHING
    ), added AS (
        SELECT c.meter_id, c.slot_at, c.group_key, c.subject, count(*) AS events, sum(c.number) AS total,
               min(c.number) FILTER (WHERE c.aggregation = 'min') AS minimum,
               max(c.number) FILTER (WHERE c.aggregation = 'max') AS maximum, max(c.time) AS latest_at,
               -- Of two at the same moment the larger, so that no order of arrival matters.
               (max(ARRAY[extract(epoch FROM c.time), c.number]) FILTER (WHERE c.aggregation = 'latest'))[2] AS latest
          FROM counted c
         WHERE c.aggregation <> 'time_weighted_sum'
         GROUP BY c.meter_id, c.slot_at, c.group_key, c.subject
    )
    SELECT json_build_object(
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
        INSERT INTO usage_day_totals AS r (organization_id, meter_id, subject, day_at, events, total)
        SELECT p_organization_id, d.meter_id, coalesce(d.subject, ''), d.day_at, sum(d.events), sum(d.total)
          FROM (SELECT d.meter_id, d.subject, date_bin('1 day', d.slot_at, 'epoch') AS day_at, d.events, d.total
                  FROM unnest(deltas) d
                 WHERE d.meter_id IN (SELECT m.id FROM meters m
                                       WHERE m.organization_id = p_organization_id AND m.group_by <> '{}'
                                         AND m.aggregation IN ('count', 'sum'))) d
         GROUP BY GROUPING SETS ((d.meter_id, d.day_at, d.subject), (d.meter_id, d.day_at))
        HAVING grouping(d.subject) = 1 OR d.subject <> ''
         ORDER BY d.meter_id, coalesce(d.subject, '') COLLATE "C", d.day_at
        ON CONFLICT (organization_id, meter_id, subject, day_at) DO UPDATE
           SET events = r.events + excluded.events, total = r.total + excluded.total;
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
        INSERT INTO usage_hour_rollups AS r
            (organization_id, meter_id, hour_at, group_key, events, total, minimum, maximum, latest_at, latest)
        SELECT p_organization_id, d.meter_id, d.hour_at, d.group_key, sum(d.events), sum(d.total),
               min(d.minimum), max(d.maximum), max(d.latest_at),
               (max(ARRAY[extract(epoch FROM d.latest_at), d.latest]) FILTER (WHERE d.latest IS NOT NULL))[2]
          FROM (SELECT d.*, date_bin('1 hour', d.slot_at, 'epoch') AS hour_at FROM unnest(deltas) d) d
         GROUP BY d.meter_id, d.hour_at, d.group_key
         ORDER BY d.meter_id, d.hour_at, d.group_key COLLATE "C"
        ON CONFLICT (organization_id, meter_id, hour_at, group_key) DO UPDATE
           SET events = r.events + excluded.events, total = r.total + excluded.total,
               minimum = least(r.minimum, excluded.minimum), maximum = greatest(r.maximum, excluded.maximum),
               latest_at = greatest(r.latest_at, excluded.latest_at),
               latest = CASE WHEN excluded.latest_at > r.latest_at THEN excluded.latest
                             WHEN excluded.latest_at < r.latest_at THEN r.latest
                             ELSE greatest(r.latest, excluded.latest) END;
    END IF;
END;
$$;
