-- The permissions of a role as an organization sees it: its own role of the
-- name, else the built-in one; an unknown role holds none.
CREATE OR REPLACE FUNCTION role_permissions(p_organization_id uuid, p_role text) RETURNS text[]
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RETURN coalesce(
        (SELECT permissions FROM roles WHERE organization_id = p_organization_id AND name = p_role),
        (SELECT permissions FROM built_in_roles WHERE name = p_role),
        '{}');
END;
$$;
