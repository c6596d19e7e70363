-- An alert as the API shows it.
CREATE OR REPLACE FUNCTION usage_alert_json(p_alert usage_alerts) RETURNS json
LANGUAGE sql STABLE
RETURN json_build_object(
    'id', prefixed_id('ual_', (p_alert).id), 'name', (p_alert).name,
    'meter', (SELECT m.slug FROM meters m
               WHERE m.organization_id = (p_alert).organization_id AND m.id = (p_alert).meter_id),
    'subject', nullif((p_alert).subject, ''), 'period', (p_alert).period,
    'thresholds', (SELECT json_agg(trim_scale(t.threshold)::text ORDER BY t.threshold)
                     FROM unnest((p_alert).thresholds) t (threshold)),
    'email', (p_alert).email, 'created_at', rfc3339((p_alert).created_at),
    'archived_at', rfc3339((p_alert).archived_at));
