-- Holds the organizations of an account whose email nobody has proved, because its reset changes
-- who belongs to them. Nobody joins or leaves them meanwhile.
CREATE OR REPLACE FUNCTION account_organizations_hold(p_user_id uuid) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM users WHERE id = p_user_id AND email_verified_at IS NULL) THEN
        PERFORM 1 FROM organizations
         WHERE id IN (SELECT organization_id FROM memberships WHERE user_id = p_user_id)
         ORDER BY id FOR NO KEY UPDATE;
    END IF;
END;
$$;
