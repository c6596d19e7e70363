-- The role of that name that members of an organization can hold, its own or a
-- built-in one, which has no organization; null if there is none. A platform's role is for no
-- membership.
CREATE OR REPLACE FUNCTION organization_role(p_organization_id uuid, p_name text) RETURNS roles
LANGUAGE sql STABLE AS $$
    SELECT r::roles FROM organization_roles_held(p_organization_id) r WHERE r.name = p_name
$$;
