-- Makes a member the owner of an organization that has no owner who can sign in. The platform has
-- disabled them, and so the platform names another: a person does, who has just proved who they
-- are.
CREATE OR REPLACE FUNCTION user_ownership_give(p_digest bytea, p_user_id uuid, p_organization_id uuid) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'users:manage');
    v_membership memberships;
BEGIN
    v_refusal := coalesce(v_refusal, recent_login_refusal(v_principal));
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    -- Of several at once the first makes an owner, and the others find one.
    PERFORM 1 FROM organizations WHERE id = p_organization_id FOR NO KEY UPDATE;
    PERFORM 1 FROM users WHERE id = p_user_id FOR NO KEY UPDATE;
    SELECT m.* INTO v_membership FROM memberships m JOIN users u ON u.id = m.user_id
     WHERE m.organization_id = p_organization_id AND m.user_id = p_user_id AND u.disabled_at IS NULL;
    IF NOT FOUND THEN
        RETURN json_build_object('refusal', 'not_found');
    END IF;
    -- Sent twice, the first made them one.
    IF v_membership.role <> 'owner' THEN
        IF EXISTS (SELECT 1 FROM memberships m JOIN users u ON u.id = m.user_id
                    WHERE m.organization_id = p_organization_id AND m.role = 'owner' AND u.disabled_at IS NULL) THEN
            RETURN json_build_object('refusal', 'owner_present');
        END IF;
        UPDATE memberships SET role = 'owner' WHERE organization_id = p_organization_id AND user_id = p_user_id;
        PERFORM audit_append(p_organization_id, 'member.ownership_given', v_principal.user_id,
                             prefixed_id('usr_', p_user_id),
                             jsonb_build_object('previous_role', v_membership.role));
    END IF;
    RETURN json_build_object('organization_id', prefixed_id('org_', p_organization_id),
                             'user_id', prefixed_id('usr_', p_user_id), 'role', 'owner');
END;
$$;
