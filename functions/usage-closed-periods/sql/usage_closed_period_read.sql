-- Until when an organization's usage is closed, which is null before the first time.
CREATE OR REPLACE FUNCTION usage_closed_period_read(p_digest bytea, p_organization_id uuid) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'usage:close');
    v_period json;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    v_period := usage_closed_period_json(p_organization_id);
    IF v_period IS NULL THEN
        RETURN json_build_object('refusal', 'not_found');
    END IF;
    RETURN v_period;
END;
$$;
