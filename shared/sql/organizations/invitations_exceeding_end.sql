-- Ends the pending invitations of an organization that offer more than whoever invited now has.
-- Whoever changes a role holds the organization's row, as those do who invite and who accept.
CREATE OR REPLACE FUNCTION invitations_exceeding_end(p_organization_id uuid) RETURNS void
LANGUAGE sql AS $$
    WITH exceeding AS (
        SELECT i.id FROM invitations i
         WHERE i.organization_id = p_organization_id AND i.accepted_at IS NULL AND i.revoked_at IS NULL
           AND NOT EXISTS (
               SELECT 1 FROM users u
                 LEFT JOIN memberships m ON m.organization_id = p_organization_id AND m.user_id = u.id
                WHERE u.id = i.invited_by
                  AND role_permissions(p_organization_id, i.role)
                      <@ (role_permissions(p_organization_id, m.role) || platform_permissions(u.platform_role)))
         -- As sessions_end() holds them, which has the inviter's row and not the organization's.
         ORDER BY i.id FOR NO KEY UPDATE OF i)
    UPDATE invitations SET revoked_at = now()
     WHERE organization_id = p_organization_id AND id IN (SELECT id FROM exceeding)
$$;
