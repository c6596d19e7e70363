-- Ends one session of the token's user, or, without one named, all but the
-- token's own. Another user's session is not found.
CREATE OR REPLACE FUNCTION auth_sessions_revoke(p_digest bytea, p_session_id uuid) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    -- Held, so that a change of the organization has moved a session by now or finds it ended.
    v_principal principal := principal_hold(p_digest);
    v_refusal json := session_refusal(v_principal);
    v_named sessions;
    v_revoked bigint;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    IF p_session_id IS NULL THEN
        v_revoked := sessions_end(v_principal.user_id, 'others_ended', p_sign_in_id => principal_sign_in(v_principal));
    ELSE
        -- Whoever names a session does not name its organization, which is one of theirs or none.
        -- The sessions in one that they left have ended.
        SELECT s.* INTO v_named
          FROM (SELECT organization_id FROM memberships WHERE user_id = v_principal.user_id
                UNION ALL SELECT no_organization()) o
          JOIN sessions s ON s.organization_id = o.organization_id AND s.id = p_session_id
         WHERE s.user_id = v_principal.user_id;
        -- Another user's, or nobody's.
        IF v_named.id IS NULL THEN
            RETURN json_build_object('refusal', 'not_found');
        END IF;
        -- A session that has moved since it was listed is ended where it went. One that has ended
        -- already is as revoked as the caller wants it. To end one's own is a logout.
        v_revoked := CASE WHEN v_named.sign_in_id = principal_sign_in(v_principal)
                          THEN sessions_end(v_principal.user_id, 'logged_out', session_organization(v_principal),
                                            v_principal.session_id)
                          ELSE sessions_end(v_principal.user_id, 'session_ended', p_sign_in_id => v_named.sign_in_id) END;
    END IF;
    IF v_revoked > 0 THEN
        PERFORM audit_append(v_principal.organization_id, 'session.revoked', v_principal.user_id,
                             coalesce(prefixed_id('ses_', p_session_id), prefixed_id('usr_', v_principal.user_id)),
                             jsonb_build_object('sessions', v_revoked));
    END IF;
    RETURN json_build_object('revoked', v_revoked);
END;
$$;
