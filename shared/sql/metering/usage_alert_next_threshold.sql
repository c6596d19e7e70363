-- The lowest threshold above a value of the alerts that look at a total, or the lowest
-- of all when there is no value.
CREATE OR REPLACE FUNCTION usage_alert_next_threshold(
    p_organization_id uuid, p_meter_id uuid, p_subject text, p_period text, p_value numeric
) RETURNS numeric
LANGUAGE sql STABLE AS $$
    SELECT min(t.threshold)
      FROM usage_alerts a, unnest(a.thresholds) t (threshold)
     WHERE a.organization_id = p_organization_id AND a.meter_id = p_meter_id AND a.subject = p_subject
       AND a.period = p_period AND a.archived_at IS NULL AND (p_value IS NULL OR t.threshold > p_value)
$$;
