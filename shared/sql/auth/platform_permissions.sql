-- The permissions of a platform role, which is a built-in one; none for null.
CREATE OR REPLACE FUNCTION platform_permissions(p_role text) RETURNS text[]
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    IF p_role IS NULL THEN
        RETURN '{}'::text[];
    END IF;
    RETURN coalesce((SELECT permissions FROM built_in_roles WHERE name = p_role), '{}');
END;
$$;
