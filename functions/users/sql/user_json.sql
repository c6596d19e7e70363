-- A user as the platform's administrators see them.
CREATE OR REPLACE FUNCTION user_json(p_user users) RETURNS json
LANGUAGE sql STABLE PARALLEL SAFE
RETURN json_build_object(
    'id', prefixed_id('usr_', (p_user).id), 'email', (p_user).email, 'platform_role', (p_user).platform_role,
    'created_at', rfc3339((p_user).created_at), 'disabled_at', rfc3339((p_user).disabled_at));
