-- The roles that members of an organization can hold: its own, and the built-in ones, which have
-- no organization. A platform's role is for no membership.
CREATE OR REPLACE FUNCTION organization_roles_held(p_organization_id uuid) RETURNS SETOF roles
LANGUAGE sql STABLE AS $$
    SELECT r.* FROM roles r WHERE r.organization_id = p_organization_id
    UNION ALL
    SELECT NULL, b.name, b.permissions, NULL FROM built_in_roles b
     WHERE NOT EXISTS (SELECT 1 FROM permissions p WHERE p.is_platform AND p.name = ANY (b.permissions))
$$;
