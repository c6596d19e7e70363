-- An organization as one of its members sees it.
CREATE OR REPLACE FUNCTION organization_json(p_organization_id uuid, p_user_id uuid) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT organization_as_seen(o, m.role)
      FROM organizations o JOIN memberships m ON m.organization_id = o.id
     WHERE o.id = p_organization_id AND m.user_id = p_user_id
$$;
