-- Whether the organization would be left without an owner who can sign in.
CREATE OR REPLACE FUNCTION is_last_owner(p_membership memberships) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT (p_membership).role = 'owner' AND NOT EXISTS (
        SELECT 1 FROM memberships m JOIN users u ON u.id = m.user_id
         WHERE m.organization_id = (p_membership).organization_id AND m.role = 'owner'
           AND m.user_id <> (p_membership).user_id AND u.disabled_at IS NULL)
$$;
