-- The oldest organization of a user, in which they sign in. Its audit log tells what happened to
-- a user who acts in none, and a grant that does not say where goes there. Null for a user who
-- has none.
CREATE OR REPLACE FUNCTION user_home_organization(p_user_id uuid) RETURNS uuid
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT organization_id FROM memberships WHERE user_id = p_user_id ORDER BY created_at LIMIT 1);
END;
$$;
