-- Takes back a pending invitation, so that its token is dead.
CREATE OR REPLACE FUNCTION organization_invitation_revoke(p_digest bytea, p_organization_id uuid, p_id uuid) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_hold record;
    v_caller principal;
    v_invitation invitations;
BEGIN
    v_hold := organization_hold(p_digest, p_organization_id, 'members:manage');
    IF v_hold.refusal IS NOT NULL THEN
        RETURN v_hold.refusal;
    END IF;
    v_caller := v_hold.caller;
    SELECT * INTO v_invitation FROM invitations
     WHERE organization_id = p_organization_id AND id = p_id AND accepted_at IS NULL;
    IF NOT FOUND THEN
        RETURN json_build_object('refusal', 'not_found');
    END IF;
    -- One that was revoked before is as revoked as the caller wants it.
    IF v_invitation.revoked_at IS NULL THEN
        IF NOT role_permissions(p_organization_id, v_invitation.role) <@ v_caller.permissions THEN
            RETURN json_build_object('refusal', 'role_exceeds_own');
        END IF;
        UPDATE invitations SET revoked_at = now() WHERE organization_id = p_organization_id AND id = p_id;
        PERFORM audit_append(p_organization_id, 'invitation.revoked', v_caller.user_id, prefixed_id('ivt_', p_id),
                             jsonb_build_object('email', v_invitation.email, 'role', v_invitation.role));
    END IF;
    RETURN json_build_object('status', 'revoked');
END;
$$;
