-- A version with its terms; the newest one when none is named.
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
        RETURN json_build_object('outcome', 'not_found');
    END IF;
    -- Versions are numbered without a gap, so the newest is the one with their number.
    SELECT * INTO v_version FROM plan_versions
     WHERE plan_id = v_plan.id AND version = coalesce(p_version, v_plan.versions);
    IF NOT FOUND THEN
        RETURN json_build_object('outcome', 'version_not_found');
    END IF;
    RETURN json_build_object('outcome', 'found', 'plan_name', v_plan.name,
                             'version', plan_version_json(v_version, v_principal), 'terms', v_version.terms);
END;
$$;
