-- A version with its terms and the code of its plan.
CREATE OR REPLACE FUNCTION plan_version_shown(p_version plan_versions, p_code text, p_principal principal) RETURNS json
LANGUAGE sql STABLE PARALLEL SAFE
RETURN (plan_version_json(p_version, p_principal)::jsonb
        || jsonb_build_object('plan', p_code, 'terms', (p_version).terms))::json;
