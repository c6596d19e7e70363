-- What a caller without the needed permission is told, or null to go on.
CREATE OR REPLACE FUNCTION refusal(p_principal principal, p_permission text) RETURNS json
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN (p_principal).user_id IS NULL THEN '{"refusal":"unauthenticated"}'::json
    WHEN p_permission <> ALL ((p_principal).permissions)
        THEN ('{"refusal":"forbidden","permission":"' || p_permission || '"}')::json
END;
