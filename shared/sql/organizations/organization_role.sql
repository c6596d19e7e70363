-- The role of that name that members of an organization can hold, its own or a
-- built-in one; null if there is none. A platform's role is for no membership.
CREATE OR REPLACE FUNCTION organization_role(p_organization_id uuid, p_name text) RETURNS roles
LANGUAGE sql STABLE AS $$
    SELECT r FROM roles r
     WHERE r.name = p_name AND (r.organization_id = p_organization_id OR r.organization_id IS NULL)
       AND NOT EXISTS (SELECT 1 FROM permissions p WHERE p.is_platform AND p.name = ANY (r.permissions))
     ORDER BY r.organization_id NULLS LAST LIMIT 1
$$;
