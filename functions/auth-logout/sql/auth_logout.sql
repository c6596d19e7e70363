-- Ends the token's session. A second call, or one with a token that was never known,
-- finds nothing to end. An API key opened no session and has none to end: it is told
-- what it is told wherever only a person who signed in may act.
CREATE OR REPLACE FUNCTION auth_logout(p_digest bytea) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := session_refusal(v_principal);
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    IF NOT session_revoke(v_principal.session_id) THEN
        RETURN json_build_object('refusal', 'unauthenticated');
    END IF;
    PERFORM audit_append(v_principal.organization_id, 'session.ended', v_principal.user_id,
                         prefixed_id('ses_', v_principal.session_id));
    RETURN json_build_object('status', 'logged_out');
END;
$$;
