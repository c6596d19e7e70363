-- Lets an alert fire no more; what it fired stays.
CREATE OR REPLACE FUNCTION usage_alert_archive(p_digest bytea, p_id uuid) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'usage_alerts:manage');
    v_alert usage_alerts;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    SELECT * INTO v_alert FROM usage_alerts WHERE organization_id = v_principal.organization_id AND id = p_id;
    IF NOT FOUND THEN
        RETURN json_build_object('refusal', 'not_found');
    END IF;
    IF v_alert.archived_at IS NULL THEN
        -- So that no batch that took it for active fires it after the answer.
        PERFORM usage_alerts_hold_alone(v_principal.organization_id);
        UPDATE usage_alerts SET archived_at = now()
         WHERE organization_id = v_principal.organization_id AND id = p_id AND archived_at IS NULL;
        IF FOUND THEN
            PERFORM audit_append(v_principal.organization_id, 'usage_alert.archived', v_principal.user_id,
                                 prefixed_id('ual_', p_id), jsonb_build_object('name', v_alert.name));
        END IF;
        SELECT * INTO v_alert FROM usage_alerts WHERE organization_id = v_principal.organization_id AND id = p_id;
    END IF;
    RETURN json_build_object('alert', usage_alert_json(v_alert));
END;
$$;
