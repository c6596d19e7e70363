-- Sums of subjects that are not within those of all usage, sums of hours and days that are not
-- those of their quarters, values that are equal and are kept as two groups, and levels that no
-- summary would find. It reads all sums.
CREATE OR REPLACE FUNCTION usage_violations() RETURNS TABLE (organization_id uuid, violation text)
LANGUAGE sql STABLE AS $$
    WITH by_subject AS (
        SELECT s.organization_id, s.meter_id, s.slot_at, s.group_key, sum(s.events) AS events, sum(s.total) AS total
          FROM usage_subject_rollups s
         GROUP BY s.organization_id, s.meter_id, s.slot_at, s.group_key
    ), named AS (
        SELECT DISTINCT r.organization_id, r.meter_id, r.group_key FROM usage_rollups r WHERE r.group_key <> ''
        UNION
        SELECT DISTINCT s.organization_id, s.meter_id, s.group_key FROM usage_level_series s WHERE s.group_key <> ''
    )
    SELECT s.organization_id,
           format('the subjects of meter %s have %s events and %s in group %L at %s, and all usage has %s and %s',
                  s.meter_id, s.events, s.total, s.group_key, s.slot_at, r.events, r.total)
      FROM by_subject s
      LEFT JOIN usage_rollups r ON r.organization_id = s.organization_id AND r.meter_id = s.meter_id
           AND r.slot_at = s.slot_at AND r.group_key = s.group_key
     WHERE r.events IS NULL OR s.events > r.events
        -- Without usage of no subject they are the whole.
        OR (s.events = r.events AND s.total IS DISTINCT FROM r.total)
    UNION ALL
    SELECT coalesce(h.organization_id, q.organization_id),
           format('meter %s has %s events and %s in group %L of the hour from %s, and its quarters have %s and %s',
                  coalesce(h.meter_id, q.meter_id), h.events, h.total, coalesce(h.group_key, q.group_key),
                  coalesce(h.hour_at, q.hour_at), q.events, q.total)
      FROM usage_hour_rollups h
      FULL JOIN (SELECT r.organization_id, r.meter_id, date_trunc('hour', r.slot_at, 'UTC') AS hour_at, r.group_key,
                        sum(r.events) AS events, sum(r.total) AS total, min(r.minimum) AS minimum,
                        max(r.maximum) AS maximum, max(r.latest_at) AS latest_at,
                        (max(ARRAY[extract(epoch FROM r.latest_at), r.latest])
                         FILTER (WHERE r.latest IS NOT NULL))[2] AS latest
                   FROM usage_rollups r
                  GROUP BY 1, 2, 3, 4) q
           ON q.organization_id = h.organization_id AND q.meter_id = h.meter_id AND q.hour_at = h.hour_at
          AND q.group_key = h.group_key
     WHERE ROW(h.events::numeric, h.total, h.minimum, h.maximum, h.latest_at, h.latest)
           IS DISTINCT FROM ROW(q.events, q.total, q.minimum, q.maximum, q.latest_at, q.latest)
    UNION ALL
    SELECT coalesce(t.organization_id, q.organization_id),
           format('meter %s has %s events and %s of %L on the day from %s, and its quarters have %s and %s',
                  coalesce(t.meter_id, q.meter_id), t.events, t.total, coalesce(t.subject, q.subject),
                  coalesce(t.day_at, q.day_at), q.events, q.total)
      FROM usage_day_totals t
      FULL JOIN (SELECT r.organization_id, r.meter_id, r.subject, date_trunc('day', r.slot_at, 'UTC') AS day_at,
                        sum(r.events) AS events, sum(r.total) AS total
                   FROM (SELECT organization_id, meter_id, '' AS subject, slot_at, events, total FROM usage_rollups
                         UNION ALL
                         SELECT organization_id, meter_id, subject, slot_at, events, total FROM usage_subject_rollups) r
                   JOIN meters m ON m.organization_id = r.organization_id AND m.id = r.meter_id
                    AND m.group_by <> '{}' AND m.aggregation IN ('count', 'sum')
                  GROUP BY 1, 2, 3, 4) q
           ON q.organization_id = t.organization_id AND q.meter_id = t.meter_id AND q.subject = t.subject
          AND q.day_at = t.day_at
     WHERE ROW(t.events::numeric, t.total) IS DISTINCT FROM ROW(q.events, q.total)
    UNION ALL
    SELECT n.organization_id, format('meter %s keeps %s groups for %s', n.meter_id, count(*), n.group_key::jsonb)
      FROM named n
     GROUP BY n.organization_id, n.meter_id, n.group_key::jsonb
    HAVING count(*) > 1
    UNION ALL
    SELECT l.organization_id, format('the levels of %L in group %L of meter %s are of no series', l.subject, l.group_key, l.meter_id)
      FROM (SELECT DISTINCT l.organization_id, l.meter_id, l.subject, l.group_key FROM usage_levels l) l
     WHERE NOT EXISTS (SELECT 1 FROM usage_level_series s
                        WHERE s.organization_id = l.organization_id AND s.meter_id = l.meter_id
                          AND s.subject = l.subject AND s.group_key = l.group_key)
$$;
