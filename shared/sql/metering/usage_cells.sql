-- What a meter counted: of each group its values and its cells, which are a bucket with
-- its events and its value each, and one for the whole, whose bucket is 0. What is equal
-- as JSON is one group. Beside them, all events that were counted, of which each must be
-- in a group. When there is more to read than may be, o_exceeded is the refusal.
--
-- Nothing is known beforehand of how many groups there are, and a loop in a loop over
-- thousands of them would outlast the statement, so there is none. The plan is kept, because
-- planning takes as long as reading a month of hours.
--
-- Where each bucket begins with an hour of UTC, the sums of whole hours are read, and quarters
-- only at both ends of the range.
CREATE OR REPLACE FUNCTION usage_cells(
    p_meter meters, p_starts timestamptz[], p_until timestamptz, p_subject text, p_positions integer[],
    p_max_cells integer, p_max_events integer, p_max_series integer,
    OUT o_groups json, OUT o_number_of_groups bigint, OUT o_events numeric, OUT o_exceeded text
)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_nestloop = off
SET enable_sort = off
SET jit = off
AS $$
DECLARE
    v_hours_since timestamptz := date_trunc('hour', p_starts[1] + interval '45 minutes', 'UTC');
    v_hours_until timestamptz := date_trunc('hour', p_until, 'UTC');
BEGIN
    IF p_subject IS NOT NULL OR v_hours_since > v_hours_until OR EXISTS (
            SELECT 1 FROM unnest(p_starts[2:]) s WHERE s <> date_bin('1 hour', s, 'epoch')) THEN
        -- All of the range is before the hours.
        v_hours_since := p_until;
        v_hours_until := p_until;
    END IF;
    IF p_meter.aggregation = 'time_weighted_sum' THEN
        SELECT l.o_groups, l.o_number_of_groups, l.o_events, l.o_exceeded
          INTO o_groups, o_number_of_groups, o_events, o_exceeded
          FROM usage_level_cells(p_meter, p_starts, p_until, p_subject, p_positions, p_max_cells, p_max_events,
                                 p_max_series) l;
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
        ), by_part AS (
            SELECT json_build_array(e.part, json_agg(json_build_array(e.bucket, e.events, c.value::text))) AS found
              FROM events e LEFT JOIN cells c ON c.bucket = e.bucket AND c.part = e.part
             GROUP BY e.part
        )
        SELECT json_agg(p.found), count(*), (SELECT sum(b.events) FROM by_group b),
               CASE WHEN (SELECT count(*) FROM own) > p_max_events THEN 'too_many_events' END
          INTO o_groups, o_number_of_groups, o_events, o_exceeded
          FROM by_part p;
    ELSE
        WITH own AS (
            SELECT width_bucket(r.slot_at, p_starts) AS bucket, r.group_key, r.events, r.total, r.minimum, r.maximum,
                   r.latest_at, r.latest
              FROM usage_rollups r
             WHERE p_subject IS NULL AND r.organization_id = p_meter.organization_id AND r.meter_id = p_meter.id
               AND r.slot_at >= p_starts[1] AND r.slot_at < v_hours_since
            UNION ALL
            SELECT width_bucket(r.hour_at, p_starts), r.group_key, r.events, r.total, r.minimum, r.maximum,
                   r.latest_at, r.latest
              FROM usage_hour_rollups r
             WHERE p_subject IS NULL AND r.organization_id = p_meter.organization_id AND r.meter_id = p_meter.id
               AND r.hour_at >= v_hours_since AND r.hour_at < v_hours_until
            UNION ALL
            SELECT width_bucket(r.slot_at, p_starts), r.group_key, r.events, r.total, r.minimum, r.maximum,
                   r.latest_at, r.latest
              FROM usage_rollups r
             WHERE p_subject IS NULL AND r.organization_id = p_meter.organization_id AND r.meter_id = p_meter.id
               AND r.slot_at >= v_hours_until AND r.slot_at < p_until
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
        ), by_part AS (
            -- Cells are written as texts: json_build_array looks its types up for each.
            SELECT json_build_array(c.part, ('[' || string_agg(
                       '[' || c.bucket || ',' || c.events || ',' || coalesce('"' || trim_scale(usage_value(
                           p_meter.aggregation, c.events::bigint, c.total, c.minimum, c.maximum, c.latest)) || '"',
                           'null') || ']', ',') || ']')::json) AS found
              FROM cells c
             GROUP BY c.part
        )
        SELECT json_agg(p.found), count(*), (SELECT sum(b.events) FROM by_group b)
          INTO o_groups, o_number_of_groups, o_events
          FROM by_part p;
    END IF;
END;
$$;
