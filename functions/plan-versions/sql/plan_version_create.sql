-- Adds a version, unless it would be the same as the newest, which is then answered. The terms
-- are right in `p_currencies`, and null if that is empty. They are stored in the plan's currency.
CREATE OR REPLACE FUNCTION plan_version_create(
    p_digest bytea, p_id uuid, p_code text, p_terms text, p_currencies text[], p_max_versions integer
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'plans:manage');
    v_terms jsonb;
    v_plan plans;
    v_version plan_versions;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    -- Of versions that are made at once each waits for the one before it.
    SELECT * INTO v_plan FROM plans WHERE code = p_code FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN json_build_object('refusal', 'not_found');
    END IF;
    IF v_plan.currency <> ALL (p_currencies) THEN
        RETURN json_build_object('refusal', 'other_currency', 'plan_currency', v_plan.currency);
    END IF;
    v_terms := jsonb_set(p_terms::jsonb, '{currency}', to_jsonb(v_plan.currency));
    -- Sent twice, it was made by the first.
    SELECT * INTO v_version FROM plan_versions WHERE id = p_id;
    IF FOUND THEN
        RETURN json_build_object('is_new', true, 'version', plan_version_shown(v_version, p_code, v_principal));
    END IF;
    SELECT * INTO v_version FROM plan_versions WHERE plan_id = v_plan.id AND version = v_plan.versions;
    IF v_version.terms = v_terms THEN
        RETURN json_build_object('is_new', false, 'version', plan_version_shown(v_version, p_code, v_principal));
    END IF;
    IF v_plan.archived_at IS NOT NULL THEN
        RETURN json_build_object('refusal', 'plan_archived');
    END IF;
    IF v_plan.versions >= p_max_versions THEN
        RETURN json_build_object('refusal', 'version_limit');
    END IF;
    UPDATE plans SET versions = versions + 1, updated_at = clock_timestamp() WHERE id = v_plan.id
    RETURNING * INTO v_plan;
    INSERT INTO plan_versions (plan_id, version, id, terms, created_at, created_by)
    VALUES (v_plan.id, v_plan.versions, p_id, v_terms, v_plan.updated_at, v_principal.user_id)
    RETURNING * INTO v_version;
    PERFORM audit_append(
        v_principal.organization_id, 'plan.versioned', v_principal.user_id, prefixed_id('pln_', v_plan.id),
        jsonb_build_object('code', p_code, 'version', v_version.version,
                           'terms_sha256', encode(sha256(convert_to(v_terms::text, 'UTF8')), 'hex')));
    RETURN json_build_object('is_new', true, 'version', plan_version_shown(v_version, p_code, v_principal));
END;
$$;
