-- What a caller is told about the entitlements of an organization, or null to go on.
-- Only the platform reaches another organization than its own.
CREATE OR REPLACE FUNCTION entitlements_refusal(p_principal principal, p_organization_id uuid, p_permission text) RETURNS json
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN (p_principal).user_id IS NULL THEN '{"refusal":"unauthenticated"}'::json
    WHEN 'entitlements:grant' = ANY ((p_principal).permissions) THEN NULL
    WHEN p_permission <> ALL ((p_principal).permissions)
        THEN ('{"refusal":"forbidden","permission":"' || p_permission || '"}')::json
    WHEN p_organization_id <> (p_principal).organization_id
        THEN '{"refusal":"forbidden","permission":"entitlements:grant"}'::json
END;
