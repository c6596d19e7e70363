-- What a caller is told about an organization that is not their token's, or
-- who lacks a permission in it; null to go on. Without a permission named,
-- being a member is enough.
CREATE OR REPLACE FUNCTION organization_refusal(p_principal principal, p_organization_id uuid, p_permission text) RETURNS json
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN (p_principal).user_id IS NULL THEN '{"refusal":"unauthenticated"}'::json
    WHEN (p_principal).organization_id IS DISTINCT FROM p_organization_id THEN '{"refusal":"not_found"}'::json
    WHEN p_permission IS NOT NULL THEN refusal(p_principal, p_permission)
END;
