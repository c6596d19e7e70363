-- The roles that a member can hold: the built-in ones first, then by name.
CREATE OR REPLACE FUNCTION organization_roles(p_digest bytea, p_organization_id uuid) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := organization_refusal(v_principal, p_organization_id, 'organization:read');
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    RETURN json_build_object('roles', (
        SELECT coalesce(json_agg(role_json(r) ORDER BY r.organization_id NULLS FIRST, r.name), '[]'::json)
          FROM organization_roles_held(p_organization_id) r));
END;
$$;
