-- Ends a session and everything that was issued in it.
CREATE OR REPLACE FUNCTION session_revoke(p_organization_id uuid, p_session_id uuid) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE sessions SET revoked_at = now()
     WHERE organization_id = p_organization_id AND id = p_session_id AND revoked_at IS NULL;
    RETURN FOUND;
END;
$$;
