-- The organization whose audit log tells what happened to a user who acts in
-- none: the oldest of theirs, as at the login. Null for a user who has none.
CREATE OR REPLACE FUNCTION user_home_organization(p_user_id uuid) RETURNS uuid
LANGUAGE sql STABLE AS $$
    SELECT organization_id FROM memberships WHERE user_id = p_user_id ORDER BY created_at LIMIT 1
$$;
