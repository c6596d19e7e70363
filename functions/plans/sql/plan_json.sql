-- A plan as the API shows it, and its place in the list, which the API does not.
CREATE OR REPLACE FUNCTION plan_json(p_plan plans) RETURNS json
LANGUAGE sql STABLE PARALLEL SAFE
RETURN json_build_object(
    'id', prefixed_id('pln_', (p_plan).id), 'code', (p_plan).code, 'name', (p_plan).name,
    'currency', (p_plan).currency, 'billing_period', (p_plan).billing_period,
    'newest_version', nullif((p_plan).versions, 0), 'archived', (p_plan).archived_at IS NOT NULL,
    'created_at', rfc3339((p_plan).created_at), 'updated_at', rfc3339((p_plan).updated_at),
    'sequence', (p_plan).sequence);
