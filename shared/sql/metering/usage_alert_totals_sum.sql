-- Sums up a total anew, in every period for which events can still come. Whoever calls
-- holds the organization alone.
CREATE OR REPLACE FUNCTION usage_alert_totals_sum(
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
