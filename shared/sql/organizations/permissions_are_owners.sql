-- Whether permissions are all that an owner has, under whatever name of a role; false for null.
-- Nobody with less can make an owner, or take a role from one.
CREATE OR REPLACE FUNCTION permissions_are_owners(p_permissions text[]) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
RETURN coalesce((SELECT permissions FROM built_in_roles WHERE name = 'owner') <@ p_permissions, false);
