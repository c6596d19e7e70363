-- From when on a user's second factor is off.
CREATE OR REPLACE FUNCTION user_second_factor_removal_json(p_user_id uuid) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT json_build_object('user_id', prefixed_id('usr_', p_user_id), 'due_at', rfc3339(removal_due_at))
      FROM totp_enrolments WHERE user_id = p_user_id
$$;
