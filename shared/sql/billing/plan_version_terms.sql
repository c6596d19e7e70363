-- The terms of a version of a plan.
CREATE OR REPLACE FUNCTION plan_version_terms(p_plan_id uuid, p_version integer) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT v.terms FROM plan_versions v WHERE v.plan_id = p_plan_id AND v.version = p_version);
END;
$$;
