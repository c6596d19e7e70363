-- What an estimate rates: a version, the newest one when none is named. Terms that
-- whoever asks knows already are left out, because a version never changes.
CREATE OR REPLACE FUNCTION pricing_estimate_read(
    p_digest bytea, p_code text, p_version integer, p_known_id text
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_refusal json := refusal(authenticate(p_digest), 'plans:read');
    v_plan plans;
    v_number integer;
    v_id uuid;
    v_terms text;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    SELECT * INTO v_plan FROM plans WHERE code = p_code;
    IF NOT FOUND THEN
        RETURN json_build_object('refusal', 'not_found');
    END IF;
    -- Versions are numbered without a gap, so the newest is the one with their number.
    v_number := coalesce(p_version, v_plan.versions);
    SELECT id, CASE WHEN id::text IS DISTINCT FROM p_known_id THEN terms::text END INTO v_id, v_terms
      FROM plan_versions WHERE plan_id = v_plan.id AND version = v_number;
    IF NOT FOUND THEN
        RETURN json_build_object('refusal', 'version_not_found');
    END IF;
    RETURN json_build_object('plan_name', v_plan.name, 'version', v_number,
                             'version_id', v_id, 'terms', v_terms::json,
                             'terms_bytes', octet_length(v_terms));
END;
$$;
