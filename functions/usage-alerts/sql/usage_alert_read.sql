-- One alert of the organization.
CREATE OR REPLACE FUNCTION usage_alert_read(p_digest bytea, p_id uuid) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'usage:read');
    v_alert usage_alerts;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    SELECT * INTO v_alert FROM usage_alerts WHERE organization_id = v_principal.organization_id AND id = p_id;
    IF NOT FOUND THEN
        RETURN json_build_object('refusal', 'not_found');
    END IF;
    RETURN json_build_object('alert', usage_alert_json(v_alert));
END;
$$;
