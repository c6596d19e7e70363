-- Whether the user is a member, who then stays one until the transaction ends. So a removal, which
-- ends the sessions of the organization, finds a session that is opened after this, or comes first.
CREATE OR REPLACE FUNCTION membership_hold(p_organization_id uuid, p_user_id uuid) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM memberships WHERE organization_id = p_organization_id AND user_id = p_user_id FOR KEY SHARE;
    RETURN FOUND;
END;
$$;
