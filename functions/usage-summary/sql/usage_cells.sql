-- What a meter counted, in cells: a bucket of a group each, and of each group one
-- for the whole, whose bucket is 0. Nothing is known beforehand of how many groups
-- there are, and a loop in a loop over thousands of them would outlast the
-- statement, so there is none.
CREATE OR REPLACE FUNCTION usage_cells(
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
