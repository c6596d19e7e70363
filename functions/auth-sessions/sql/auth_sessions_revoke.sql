-- Ends one session of the token's user, or, without one named, all but the
-- token's own. Another user's session is not found.
CREATE OR REPLACE FUNCTION auth_sessions_revoke(p_digest bytea, p_session_id uuid) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := session_refusal(v_principal);
    v_revoked bigint;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    -- Held, so that a change of the organization has moved a session by now or finds it ended.
    PERFORM 1 FROM users WHERE id = v_principal.user_id FOR NO KEY UPDATE;
    v_principal := authenticate(p_digest);
    v_refusal := session_refusal(v_principal);
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    IF p_session_id IS NULL THEN
        UPDATE sessions SET revoked_at = now()
         WHERE user_id = v_principal.user_id AND revoked_at IS NULL AND id <> v_principal.session_id;
    ELSE
        UPDATE sessions SET revoked_at = now()
         WHERE revoked_at IS NULL AND (organization_id, id) IN (
            -- A session that has moved since it was listed is ended where it went.
            WITH RECURSIVE named AS (
                SELECT organization_id, id, successor_organization_id, successor_id FROM sessions
                 WHERE user_id = v_principal.user_id AND id = p_session_id
                UNION ALL
                SELECT s.organization_id, s.id, s.successor_organization_id, s.successor_id
                  FROM named n
                  JOIN sessions s ON s.organization_id = n.successor_organization_id AND s.id = n.successor_id
            )
            SELECT organization_id, id FROM named);
    END IF;
    GET DIAGNOSTICS v_revoked = ROW_COUNT;
    -- One that has ended already is as revoked as the caller wants it.
    IF v_revoked = 0 AND p_session_id IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM sessions WHERE id = p_session_id AND user_id = v_principal.user_id) THEN
        RETURN json_build_object('refusal', 'not_found');
    END IF;
    IF v_revoked > 0 THEN
        PERFORM audit_append(v_principal.organization_id, 'session.revoked', v_principal.user_id,
                             coalesce(prefixed_id('ses_', p_session_id), prefixed_id('usr_', v_principal.user_id)),
                             jsonb_build_object('sessions', v_revoked));
    END IF;
    RETURN json_build_object('revoked', v_revoked);
END;
$$;
