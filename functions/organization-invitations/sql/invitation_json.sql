-- An invitation as the API shows it; never its token.
CREATE OR REPLACE FUNCTION invitation_json(p_invitation invitations) RETURNS json
LANGUAGE sql STABLE PARALLEL SAFE
RETURN json_build_object(
    'id', prefixed_id('ivt_', (p_invitation).id), 'email', (p_invitation).email, 'role', (p_invitation).role,
    'invited_by', prefixed_id('usr_', (p_invitation).invited_by),
    'created_at', rfc3339((p_invitation).created_at), 'expires_at', rfc3339((p_invitation).expires_at));
