-- Gives a member another role. Nobody gives a role that holds more than they do
-- themselves, nor changes a member who has one. Invitations end that offer more than the member
-- now has.
CREATE OR REPLACE FUNCTION organization_member_change(
    p_digest bytea, p_organization_id uuid, p_user_id uuid, p_role text
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_hold record;
    v_caller principal;
    v_membership memberships;
    v_role roles;
    v_refusal json;
BEGIN
    v_hold := organization_hold(p_digest, p_organization_id, 'members:manage');
    IF v_hold.refusal IS NOT NULL THEN
        RETURN v_hold.refusal;
    END IF;
    v_caller := v_hold.caller;
    SELECT * INTO v_membership FROM memberships
     WHERE organization_id = p_organization_id AND user_id = p_user_id;
    IF NOT FOUND THEN
        RETURN json_build_object('refusal', 'not_found');
    END IF;
    v_role := organization_role(p_organization_id, p_role);
    IF v_role.name IS NULL THEN
        RETURN json_build_object('refusal', 'role_unknown');
    END IF;
    IF NOT v_role.permissions <@ v_caller.permissions
       OR NOT role_permissions(p_organization_id, v_membership.role) <@ v_caller.permissions THEN
        RETURN json_build_object('refusal', 'role_exceeds_own');
    END IF;
    -- An owner can take everything from whoever made them one.
    v_refusal := CASE WHEN v_membership.role <> p_role AND permissions_are_owners(v_role.permissions)
                      THEN recent_login_refusal(v_caller) END;
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    IF v_membership.role <> p_role THEN
        IF is_last_owner(v_membership) THEN
            RETURN json_build_object('refusal', 'last_owner');
        END IF;
        UPDATE memberships SET role = p_role
         WHERE organization_id = p_organization_id AND user_id = p_user_id;
        PERFORM invitations_exceeding_end(p_organization_id);
        PERFORM audit_append(p_organization_id, 'member.role_changed', v_caller.user_id,
                             prefixed_id('usr_', p_user_id),
                             jsonb_build_object('role', p_role, 'previous_role', v_membership.role));
        v_membership.role := p_role;
    END IF;
    RETURN member_json(v_membership);
END;
$$;
