-- Fires what a total has reached and did not fire before, with a message to whoever is
-- to be told. The message is written once; the sender of the outbox hands it over at
-- least once.
CREATE OR REPLACE FUNCTION usage_alerts_fire(p_total usage_alert_totals, p_time_zone text) RETURNS void
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
        PERFORM outbox_add(p_total.organization_id, owned_id(p_total.organization_id, time_ordered_id()), 'usage_alert', v_firing.email, NULL, jsonb_build_object(
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
