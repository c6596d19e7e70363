-- Gives a plan another name, archives it or takes it from the archive; null leaves
-- each as it is.
CREATE OR REPLACE FUNCTION plan_change(p_digest bytea, p_code text, p_name text, p_archived boolean) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'plans:manage');
    v_plan plans;
    v_archived boolean;
    v_changes jsonb;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    SELECT * INTO v_plan FROM plans WHERE code = p_code FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN json_build_object('refusal', 'not_found');
    END IF;
    v_archived := v_plan.archived_at IS NOT NULL;
    v_changes := jsonb_strip_nulls(jsonb_build_object(
        'name', CASE WHEN p_name <> v_plan.name THEN p_name END,
        'previous_name', CASE WHEN p_name <> v_plan.name THEN v_plan.name END,
        'archived', CASE WHEN p_archived <> v_archived THEN p_archived END));
    IF v_changes <> '{}' THEN
        UPDATE plans
           SET name = coalesce(p_name, name), updated_at = clock_timestamp(),
               archived_at = CASE WHEN p_archived IS NULL OR p_archived = v_archived THEN archived_at
                                  WHEN p_archived THEN clock_timestamp() END
         WHERE id = v_plan.id
        RETURNING * INTO v_plan;
        PERFORM audit_append(v_principal.organization_id, 'plan.changed', v_principal.user_id,
                             prefixed_id('pln_', v_plan.id), jsonb_build_object('code', p_code) || v_changes);
    END IF;
    RETURN json_build_object('plan', plan_json(v_plan));
END;
$$;
