-- What the components have counted of the cache: in this hour of the clock and the one before, in
-- this one and the 23 before, and in all.
CREATE OR REPLACE FUNCTION cache_stats(p_digest bytea) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_refusal json := refusal(authenticate(p_digest), 'cache:read');
    v_hour_since timestamptz := date_trunc('hour', now(), 'UTC') - interval '1 hour';
    v_day_since timestamptz := date_trunc('hour', now(), 'UTC') - interval '23 hours';
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    RETURN json_build_object(
        'hour_since', rfc3339(v_hour_since), 'day_since', rfc3339(v_day_since),
        'counts', (
            SELECT coalesce(json_agg(json_build_object(
                       'name', c.name, 'label', c.label, 'last_hour', c.last_hour, 'last_day', c.last_day,
                       'since_start', c.since_start)), '[]')
              FROM (SELECT name, label, coalesce(sum(count) FILTER (WHERE hour >= v_hour_since), 0) AS last_hour,
                           coalesce(sum(count) FILTER (WHERE hour >= v_day_since), 0) AS last_day,
                           sum(count) AS since_start
                      FROM operation_counts
                     WHERE starts_with(name, 'cache_')
                     GROUP BY name, label
                     ORDER BY name, label) c));
END;
$$;
