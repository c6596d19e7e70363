-- A version with its terms.
CREATE OR REPLACE FUNCTION plan_version_read(p_digest bytea, p_code text, p_version integer) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'plans:read');
    v_plan plans;
    v_version plan_versions;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    SELECT * INTO v_plan FROM plans WHERE code = p_code;
    IF NOT FOUND THEN
        RETURN json_build_object('refusal', 'not_found');
    END IF;
    SELECT * INTO v_version FROM plan_versions WHERE plan_id = v_plan.id AND version = p_version;
    IF NOT FOUND THEN
        RETURN json_build_object('refusal', 'version_not_found');
    END IF;
    RETURN plan_version_shown(v_version, p_code, v_principal);
END;
$$;
