-- What a caller is told who may not make a sensitive change, or null to go on:
-- only a person may, and only soon after a login or a second factor.
CREATE OR REPLACE FUNCTION recent_login_refusal(p_principal principal) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_refusal json := session_refusal(p_principal);
BEGIN
    IF v_refusal IS NULL AND NOT EXISTS (
        SELECT 1 FROM sessions
         WHERE organization_id = session_organization(p_principal) AND id = p_principal.session_id
           AND authenticated_at > now() - recent_login_interval()) THEN
        v_refusal := json_build_object('refusal', 'recent_login_required');
    END IF;
    RETURN v_refusal;
END;
$$;
