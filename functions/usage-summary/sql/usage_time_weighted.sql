-- What a time-weighted meter has in each bucket, from the events: each value times
-- the seconds until the next one of its subject and group, or until now. A value
-- holds on from before the range for as long as an event can be late, 35 days.
-- Null when there are more events than p_max.
CREATE OR REPLACE FUNCTION usage_time_weighted(
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
