-- A member as the API shows them, with their place in the list.
CREATE OR REPLACE FUNCTION member_json(p_membership memberships) RETURNS json
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT json_build_object('user_id', prefixed_id('usr_', u.id), 'email', u.email, 'role', p_membership.role,
                                 'is_disabled', u.disabled_at IS NOT NULL, 'joined_at', rfc3339(p_membership.created_at),
                                 'sequence', p_membership.sequence)
          FROM users u WHERE u.id = p_membership.user_id);
END;
$$;
