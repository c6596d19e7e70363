-- A firing as the API shows it.
CREATE OR REPLACE FUNCTION usage_alert_firing_json(p_firing usage_alert_firings) RETURNS json
LANGUAGE sql STABLE PARALLEL SAFE
RETURN json_build_object(
    'alert_id', prefixed_id('ual_', (p_firing).alert_id), 'threshold', trim_scale((p_firing).threshold)::text,
    'value', trim_scale((p_firing).value)::text, 'period_started_at', rfc3339((p_firing).period_started_at),
    'period_ends_at', rfc3339((p_firing).period_ends_at), 'fired_at', rfc3339((p_firing).fired_at));
