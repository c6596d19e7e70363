-- What fired, newest first: of an alert, or of the whole organization when it is null.
CREATE OR REPLACE FUNCTION usage_alert_firings_list(p_digest bytea, p_alert_id uuid, p_limit integer, p_before bigint) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'usage:read');
    v_rows json;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    IF p_alert_id IS NULL THEN
        SELECT json_agg(json_build_object('sequence', f.sequence, 'firing', usage_alert_firing_json(f::usage_alert_firings))
                        ORDER BY f.sequence DESC) INTO v_rows
          FROM (SELECT * FROM usage_alert_firings
                 WHERE organization_id = v_principal.organization_id AND sequence < p_before
                 ORDER BY sequence DESC LIMIT p_limit + 1) f;
    ELSIF NOT EXISTS (SELECT 1 FROM usage_alerts
                       WHERE organization_id = v_principal.organization_id AND id = p_alert_id) THEN
        RETURN json_build_object('refusal', 'not_found');
    ELSE
        SELECT json_agg(json_build_object('sequence', f.sequence, 'firing', usage_alert_firing_json(f::usage_alert_firings))
                        ORDER BY f.sequence DESC) INTO v_rows
          FROM (SELECT * FROM usage_alert_firings
                 WHERE organization_id = v_principal.organization_id AND alert_id = p_alert_id AND sequence < p_before
                 ORDER BY sequence DESC LIMIT p_limit + 1) f;
    END IF;
    RETURN coalesce(v_rows, '[]'::json);
END;
$$;
