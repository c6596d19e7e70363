-- Removes one of the organization's own roles that nobody holds or was invited to.
CREATE OR REPLACE FUNCTION organization_role_delete(p_digest bytea, p_organization_id uuid, p_name text) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_hold record;
    v_caller principal;
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
    SELECT * INTO v_role FROM roles WHERE organization_id = p_organization_id AND name = p_name;
    IF NOT FOUND THEN
        RETURN json_build_object('refusal', 'not_found');
    END IF;
    IF NOT v_role.permissions <@ v_caller.permissions THEN
        RETURN json_build_object('refusal', 'role_exceeds_own');
    END IF;
    IF EXISTS (SELECT 1 FROM memberships WHERE organization_id = p_organization_id AND role = p_name)
       OR EXISTS (SELECT 1 FROM invitations i
                   WHERE i.organization_id = p_organization_id AND i.role = p_name AND invitation_is_live(i)) THEN
        RETURN json_build_object('refusal', 'role_in_use');
    END IF;
    DELETE FROM roles WHERE organization_id = p_organization_id AND name = p_name;
    PERFORM audit_append(p_organization_id, 'role.deleted', v_caller.user_id, p_name,
                         jsonb_build_object('previous_permissions', v_role.permissions));
    RETURN json_build_object('status', 'deleted');
END;
$$;
