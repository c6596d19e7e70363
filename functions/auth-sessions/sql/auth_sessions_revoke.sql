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
    WITH revoked AS (
        UPDATE sessions SET revoked_at = now()
         WHERE user_id = v_principal.user_id AND revoked_at IS NULL
           AND CASE WHEN p_session_id IS NULL THEN id IS DISTINCT FROM v_principal.session_id
                    ELSE id = p_session_id END
        RETURNING id)
    SELECT count(*) INTO v_revoked FROM revoked;
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
