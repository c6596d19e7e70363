-- Who holds one of the organization's own roles, so that what is cached of them
-- can be marked before the role changes.
CREATE OR REPLACE FUNCTION organization_role_holders(
    p_digest bytea, p_organization_id uuid, p_name text, p_max_holders integer
) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := organization_refusal(v_principal, p_organization_id, 'roles:manage');
    v_holders uuid[];
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    IF EXISTS (SELECT 1 FROM built_in_roles WHERE name = p_name) THEN
        RETURN json_build_object('refusal', 'role_is_built_in');
    END IF;
    v_holders := ARRAY(SELECT user_id FROM memberships
                        WHERE organization_id = p_organization_id AND role = p_name LIMIT p_max_holders + 1);
    IF cardinality(v_holders) > p_max_holders THEN
        RETURN json_build_object('refusal', 'role_widely_held');
    END IF;
    RETURN (SELECT coalesce(json_agg(prefixed_id('usr_', h)), '[]'::json) FROM unnest(v_holders) h);
END;
$$;
