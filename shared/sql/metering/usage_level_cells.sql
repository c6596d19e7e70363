-- What a meter of time has, in cells as usage_cells gives them: each level times the seconds
-- until the next one of its series, or until now, or until the meter was archived. The last
-- level before the range is there from its beginning on, however old it is.
--
-- Of each series it reads that one and what is in the range, and no more than p_max_levels of
-- all, of no more than p_max_series. Rows carry the number of their series: its keys may have
-- a kilobyte. A level is not counted in each bucket that it lasts for, which may be 800 for
-- each of 100,000: what counts is by how much it changes the sum of the levels, and the sums
-- from bucket to bucket are made once for each group.
CREATE OR REPLACE FUNCTION usage_level_cells(
    p_meter meters, p_starts timestamptz[], p_until timestamptz, p_subject text, p_positions integer[],
    p_max_cells integer, p_max_levels integer, p_max_series integer,
    OUT o_groups json, OUT o_number_of_groups bigint, OUT o_events numeric, OUT o_exceeded text
)
LANGUAGE plpgsql STABLE
-- As usage_cells. Each series is looked up by itself all the same, for want of another way.
SET enable_nestloop = off
SET enable_sort = off
SET jit = off
AS $$
DECLARE
    v_since timestamptz := p_starts[1];
    v_end timestamptz := least(p_until, now(), p_meter.archived_at);
BEGIN
    WITH series AS MATERIALIZED (
        SELECT row_number() OVER () AS number, k.subject, k.group_key
          FROM (SELECT s.subject, s.group_key FROM usage_level_series s
                 WHERE p_subject IS NULL AND s.organization_id = p_meter.organization_id AND s.meter_id = p_meter.id
                UNION ALL
                SELECT s.subject, s.group_key FROM usage_level_series s
                 WHERE s.organization_id = p_meter.organization_id AND s.meter_id = p_meter.id AND s.subject = p_subject
                 LIMIT p_max_series + 1) k
    ), told AS MATERIALIZED (
        SELECT s.number, l.time, l.level, l.events
          FROM series s
         CROSS JOIN LATERAL (
               SELECT v_since AS time, before.level, 0 AS events
                 FROM (SELECT l.level FROM usage_levels l
                        WHERE l.organization_id = p_meter.organization_id AND l.meter_id = p_meter.id
                          AND l.subject = s.subject AND l.group_key = s.group_key AND l.time < v_since
                        ORDER BY l.time DESC LIMIT 1) before
                -- One that ended in nothing is a group no more.
                WHERE before.level <> 0
               UNION ALL
               SELECT l.time, l.level, l.events
                 FROM usage_levels l
                WHERE l.organization_id = p_meter.organization_id AND l.meter_id = p_meter.id
                  AND l.subject = s.subject AND l.group_key = s.group_key AND l.time >= v_since AND l.time < p_until
               ) l
         WHERE (SELECT count(*) FROM series) <= p_max_series
         LIMIT p_max_levels + 1
    ), changes AS (
        SELECT t.number, t.time, t.events, width_bucket(t.time, p_starts) AS bucket,
               t.level - coalesce(lag(t.level) OVER (PARTITION BY t.number ORDER BY t.time, t.events), 0) AS change
          FROM told t
    ), by_series AS MATERIALIZED (
        SELECT c.number, c.bucket, sum(c.events) AS events, sum(c.change) AS change,
               sum(c.change * greatest(extract(epoch FROM
                   least(coalesce(p_starts[c.bucket + 1], p_until), v_end) - c.time), 0)) AS product
          FROM changes c
         GROUP BY c.number, c.bucket
    ), named AS MATERIALIZED (
        SELECT s.number, usage_group_part(s.group_key, p_positions) AS part
          FROM series s
         WHERE s.number IN (SELECT b.number FROM by_series b)
    ), parts AS MATERIALIZED (
        SELECT g.part, b.bucket, sum(b.events) AS events, sum(b.change) AS change, sum(b.product) AS product
          FROM by_series b JOIN named g ON g.number = b.number
         GROUP BY g.part, b.bucket
    ), groups AS MATERIALIZED (
        SELECT part FROM parts GROUP BY part
    ), buckets AS (
        SELECT n::integer AS bucket,
               greatest(extract(epoch FROM least(coalesce(p_starts[n + 1], p_until), v_end) - starts_at), 0) AS seconds
          FROM unnest(p_starts) WITH ORDINALITY u (starts_at, n)
    ), cells AS (
        -- What the changes before the bucket left lasts for the whole of it.
        SELECT g.part, u.bucket, coalesce(p.events, 0) AS events,
               coalesce(p.product, 0)
               + u.seconds * (sum(coalesce(p.change, 0)) OVER (PARTITION BY g.part ORDER BY u.bucket) - coalesce(p.change, 0)) AS value
          FROM groups g CROSS JOIN buckets u LEFT JOIN parts p ON p.part = g.part AND p.bucket = u.bucket
         -- Of more nobody is told, and they may be millions.
         WHERE (SELECT count(*) FROM groups) * cardinality(p_starts) <= p_max_cells
    ), whole AS (
        SELECT coalesce(c.bucket, 0) AS bucket, c.part, sum(c.events) AS events, sum(c.value) AS value
          FROM cells c
         GROUP BY GROUPING SETS ((c.bucket, c.part), (c.part))
    ), by_part AS (
        SELECT json_build_array(w.part, json_agg(json_build_array(w.bucket, w.events, trim_scale(w.value)::text))) AS found
          FROM whole w
         WHERE w.bucket = 0 OR w.events <> 0 OR w.value <> 0
         GROUP BY w.part
    )
    SELECT (SELECT json_agg(p.found) FROM by_part p), (SELECT count(*) FROM groups), (SELECT sum(t.events) FROM told t),
           CASE WHEN (SELECT count(*) FROM series) > p_max_series THEN 'too_many_series'
                WHEN (SELECT count(*) FROM told) > p_max_levels THEN 'too_many_events' END
      INTO o_groups, o_number_of_groups, o_events, o_exceeded;
END;
$$;
