-- A page of a plan's versions without their terms, newest first, and one more if
-- there is one.
CREATE OR REPLACE FUNCTION plan_versions_list(p_digest bytea, p_code text, p_limit integer, p_before bigint) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'plans:read');
    v_plan_id uuid;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    SELECT id INTO v_plan_id FROM plans WHERE code = p_code;
    IF NOT FOUND THEN
        RETURN json_build_object('refusal', 'not_found');
    END IF;
    RETURN (
        SELECT coalesce(json_agg(plan_version_json(v, v_principal) ORDER BY v.version DESC), '[]'::json)
          FROM (SELECT * FROM plan_versions WHERE plan_id = v_plan_id AND version < p_before
                 ORDER BY version DESC LIMIT p_limit + 1) v);
END;
$$;
