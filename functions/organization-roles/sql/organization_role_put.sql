-- Makes one of the organization's own roles, or replaces its permissions. Who
-- holds it must be among those that the caller knows of; null when somebody is not.
-- A role that has all that an owner has makes owners of those who hold it.
CREATE OR REPLACE FUNCTION organization_role_put(
    p_digest bytea, p_organization_id uuid, p_name text, p_permissions text[], p_known_holders uuid[],
    p_max_roles integer
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_hold record;
    v_caller principal;
    v_refusal json;
    v_old roles;
    v_role roles;
BEGIN
    v_hold := organization_hold(p_digest, p_organization_id, 'roles:manage');
    IF v_hold.refusal IS NOT NULL THEN
        RETURN v_hold.refusal;
    END IF;
    v_caller := v_hold.caller;
    IF EXISTS (SELECT 1 FROM built_in_roles WHERE name = p_name) THEN
        RETURN json_build_object('refusal', 'role_is_built_in');
    END IF;
    IF NOT p_permissions <@ ARRAY(SELECT name FROM permissions WHERE NOT is_platform) THEN
        RETURN json_build_object('refusal', 'permission_unknown');
    END IF;
    SELECT * INTO v_old FROM roles WHERE organization_id = p_organization_id AND name = p_name;
    IF NOT p_permissions <@ v_caller.permissions OR NOT coalesce(v_old.permissions, '{}') <@ v_caller.permissions THEN
        RETURN json_build_object('refusal', 'role_exceeds_own');
    END IF;
    v_refusal := CASE WHEN permissions_are_owners(p_permissions) AND NOT permissions_are_owners(v_old.permissions)
                      THEN recent_login_refusal(v_caller) END;
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    IF EXISTS (SELECT 1 FROM memberships
                WHERE organization_id = p_organization_id AND role = p_name
                  AND user_id <> ALL (p_known_holders)) THEN
        RETURN 'null'::json;
    END IF;
    IF v_old.name IS NULL AND
       (SELECT count(*) FROM roles WHERE organization_id = p_organization_id) >= p_max_roles THEN
        RETURN json_build_object('refusal', 'role_limit');
    END IF;
    INSERT INTO roles (organization_id, name, permissions) VALUES (p_organization_id, p_name, p_permissions)
    ON CONFLICT (organization_id, name) DO UPDATE SET permissions = p_permissions
    RETURNING * INTO v_role;
    IF v_old.name IS NULL OR v_old.permissions <> p_permissions THEN
        PERFORM invitations_exceeding_end(p_organization_id);
        PERFORM audit_append(p_organization_id, CASE WHEN v_old.name IS NULL THEN 'role.created' ELSE 'role.changed' END,
                             v_caller.user_id, p_name,
                             jsonb_build_object('permissions', p_permissions,
                                                'previous_permissions', coalesce(v_old.permissions, '{}')));
    END IF;
    RETURN role_json(v_role);
END;
$$;
