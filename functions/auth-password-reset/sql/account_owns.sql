-- Whether an organization is the account's whose membership this is: no other owner of it joined
-- before. Whoever joined after it was let in by the account, or by somebody who was.
CREATE OR REPLACE FUNCTION account_owns(p_membership memberships) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT NOT EXISTS (
        SELECT 1 FROM memberships m
         WHERE m.organization_id = (p_membership).organization_id AND m.role = 'owner'
           AND m.sequence < (p_membership).sequence)
$$;
