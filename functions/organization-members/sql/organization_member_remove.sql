-- Ends a membership, and what the member has in the organization. Whoever signed in may leave;
-- anyone else is removed by a member with the permission, under the rule for roles.
CREATE OR REPLACE FUNCTION organization_member_remove(
    p_digest bytea, p_organization_id uuid, p_user_id uuid
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_hold record;
    v_caller principal := authenticate(p_digest);
    v_leaves boolean := v_caller.user_id = p_user_id AND v_caller.session_id IS NOT NULL;
    v_membership memberships;
BEGIN
    v_hold := organization_hold(p_digest, p_organization_id, CASE WHEN v_leaves THEN NULL ELSE 'members:manage' END);
    IF v_hold.refusal IS NOT NULL THEN
        RETURN v_hold.refusal;
    END IF;
    v_caller := v_hold.caller;
    SELECT * INTO v_membership FROM memberships
     WHERE organization_id = p_organization_id AND user_id = p_user_id;
    IF NOT FOUND THEN
        RETURN json_build_object('refusal', 'not_found');
    END IF;
    IF NOT v_leaves AND NOT role_permissions(p_organization_id, v_membership.role) <@ v_caller.permissions THEN
        RETURN json_build_object('refusal', 'role_exceeds_own');
    END IF;
    IF is_last_owner(v_membership) THEN
        RETURN json_build_object('refusal', 'last_owner');
    END IF;
    PERFORM membership_end(v_membership, v_caller.user_id);
    RETURN json_build_object('status', 'removed');
END;
$$;
