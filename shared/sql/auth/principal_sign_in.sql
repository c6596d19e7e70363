-- The sign-in that a principal goes back to: that of the session, or that which the API key was
-- made with, if it is known. Whatever the principal makes is noted as that sign-in's.
CREATE OR REPLACE FUNCTION principal_sign_in(p_principal principal) RETURNS uuid
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF p_principal.session_id IS NOT NULL THEN
        RETURN (SELECT sign_in_id FROM sessions
                 WHERE organization_id = session_organization(p_principal) AND id = p_principal.session_id);
    END IF;
    RETURN (SELECT sign_in_id FROM api_keys
             WHERE organization_id = p_principal.organization_id AND id = p_principal.api_key_id);
END;
$$;
