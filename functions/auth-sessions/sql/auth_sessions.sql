-- The live sessions of the token's user, newest first, each with its end if it is not refreshed: no
-- refresh moves that beyond the end of its lifetime.
CREATE OR REPLACE FUNCTION auth_sessions(p_digest bytea, p_limit integer) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := session_refusal(v_principal);
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    RETURN json_build_object('sessions', (
        SELECT coalesce(json_agg(json_build_object(
                   'id', prefixed_id('ses_', s.id),
                   'organization_id', prefixed_id('org_', nullif(s.organization_id, no_organization())),
                   'created_at', rfc3339(s.created_at),
                   'last_used_at', rfc3339(s.last_used_at),
                   'expires_at', rfc3339(s.expires_at),
                   'address', s.address,
                   'user_agent', s.user_agent,
                   'is_current', s.id IS NOT DISTINCT FROM v_principal.session_id) ORDER BY s.created_at DESC), '[]'::json)
          FROM (SELECT sessions.*, least(t.expires_at, session_ends_at(sessions.created_at)) AS expires_at
                  FROM sessions
                  JOIN refresh_tokens t ON t.organization_id = sessions.organization_id
                                       AND t.session_id = sessions.id
                                       AND t.successor IS NULL AND t.expires_at > now()
                 WHERE sessions.user_id = v_principal.user_id AND sessions.revoked_at IS NULL
                   AND session_ends_at(sessions.created_at) > now()
                 ORDER BY sessions.created_at DESC LIMIT p_limit) s));
END;
$$;
