-- The people who joined the account's own organizations after it did.
CREATE OR REPLACE FUNCTION account_guests(p_user_id uuid) RETURNS uuid[]
LANGUAGE sql STABLE AS $$
    SELECT coalesce(array_agg(DISTINCT guest.user_id), '{}')
      FROM memberships own
      JOIN memberships guest ON guest.organization_id = own.organization_id AND guest.sequence > own.sequence
     WHERE own.user_id = p_user_id AND account_owns(own)
$$;
