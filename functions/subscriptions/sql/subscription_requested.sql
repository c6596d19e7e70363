-- The version of a plan that somebody asks for, with its terms: a given one, or the newest. The plan
-- is p_plan_id without a code. Null without a plan or a version that was asked for; a refusal when
-- there is no such version, or nobody can have it any more.
CREATE OR REPLACE FUNCTION subscription_requested(p_plan_id uuid, p_code text, p_version integer) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_plan plans;
    v_version plan_versions;
BEGIN
    IF p_code IS NULL AND p_version IS NULL THEN
        RETURN NULL;
    END IF;
    IF p_code IS NULL THEN
        SELECT * INTO v_plan FROM plans WHERE id = p_plan_id;
    ELSE
        SELECT * INTO v_plan FROM plans WHERE code = p_code;
    END IF;
    IF NOT FOUND THEN
        RETURN json_build_object('refusal', 'plan_unknown');
    END IF;
    SELECT * INTO v_version FROM plan_versions
     WHERE plan_id = v_plan.id AND version = coalesce(p_version, v_plan.versions);
    IF NOT FOUND THEN
        RETURN json_build_object('refusal', 'plan_version_unknown', 'is_given', p_version IS NOT NULL);
    END IF;
    IF v_plan.archived_at IS NOT NULL AND v_plan.id IS DISTINCT FROM p_plan_id THEN
        RETURN json_build_object('refusal', 'plan_archived');
    END IF;
    RETURN json_build_object('plan', v_plan.code, 'plan_version', v_version.version, 'currency', v_plan.currency,
                             'billing_period', v_plan.billing_period,
                             'terms', v_version.terms);
END;
$$;
