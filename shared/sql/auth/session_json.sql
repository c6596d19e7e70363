-- A session as a login answers it, with the end of its access token.
CREATE OR REPLACE FUNCTION session_json(
    p_organization_id uuid, p_session_id uuid, p_user_id uuid, p_expires_at timestamptz
) RETURNS json
LANGUAGE sql STABLE PARALLEL SAFE
RETURN json_build_object(
    'session_id', prefixed_id('ses_', p_session_id),
    'user_id', prefixed_id('usr_', p_user_id),
    'organization_id', prefixed_id('org_', nullif(p_organization_id, no_organization())),
    'expires_at', rfc3339(p_expires_at));
