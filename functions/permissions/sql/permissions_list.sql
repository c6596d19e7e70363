-- Every permission that there is, for whoever has signed in.
CREATE OR REPLACE FUNCTION permissions_list(p_digest bytea) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
BEGIN
    IF v_principal.user_id IS NULL THEN
        RETURN json_build_object('refusal', 'unauthenticated');
    END IF;
    RETURN json_build_object('permissions', (
        SELECT json_agg(json_build_object('name', name, 'description', description, 'is_platform', is_platform)
                        ORDER BY name)
          FROM permissions));
END;
$$;
