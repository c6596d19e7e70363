-- Sums of subjects that are not within those of all usage, values that are equal and are
-- kept as two groups, and levels that no summary would find. It reads all sums.
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
