-- A role as the API shows it.
CREATE OR REPLACE FUNCTION role_json(p_role roles) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT json_build_object('name', (p_role).name, 'is_built_in', (p_role).organization_id IS NULL,
                             'permissions', (SELECT coalesce(json_agg(DISTINCT p ORDER BY p), '[]'::json)
                                               FROM unnest((p_role).permissions) p))
$$;
