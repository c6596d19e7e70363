-- Ends the token's session. A second call, or one with a token that was never known,
-- finds nothing to end. An API key opened no session and has none to end: it is told
-- what it is told wherever only a person who signed in may act.
--
-- The old access token of a session that has just moved to another organization ends the session
-- that took its place, as long as nobody has shown that they received that one's tokens. So a
-- logout beside a change of the organization leaves no session.
CREATE OR REPLACE FUNCTION auth_logout(p_digest bytea) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_session sessions := session_of_token(p_digest);
    v_principal principal;
BEGIN
    IF v_session.id IS NULL THEN
        RETURN coalesce(session_refusal(authenticate(p_digest)), json_build_object('refusal', 'unauthenticated'));
    END IF;
    PERFORM 1 FROM users WHERE id = v_session.user_id FOR NO KEY UPDATE;
    -- Held, so that a change of the organization has moved it by now or finds it ended.
    SELECT * INTO v_session FROM sessions
     WHERE organization_id = v_session.organization_id AND id = v_session.id FOR NO KEY UPDATE;
    v_principal := authenticate(p_digest);
    IF v_principal.user_id IS NOT NULL THEN
        PERFORM sessions_end(v_session.user_id, 'logged_out', v_session.organization_id, v_session.id);
        PERFORM audit_append(v_principal.organization_id, 'session.ended', v_principal.user_id,
                             prefixed_id('ses_', v_session.id));
    ELSIF session_successor_end(v_session, 'logged_out') THEN
        PERFORM audit_append(v_session.successor_organization_id, 'session.ended', v_session.user_id,
                             prefixed_id('ses_', v_session.successor_id));
    ELSE
        RETURN json_build_object('refusal', 'unauthenticated');
    END IF;
    RETURN json_build_object('status', 'logged_out');
END;
$$;
