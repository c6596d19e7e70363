-- Lets the token's session act in another organization of its user.
CREATE OR REPLACE FUNCTION auth_organization_change(p_digest bytea, p_organization_id uuid) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := session_refusal(v_principal);
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    -- Held, so that a removal, which ends the sessions of the organization,
    -- finds this one there or leaves no membership for it.
    PERFORM 1 FROM memberships
     WHERE organization_id = p_organization_id AND user_id = v_principal.user_id
       FOR KEY SHARE;
    IF NOT FOUND THEN
        RETURN json_build_object('refusal', 'not_found');
    END IF;
    IF v_principal.organization_id <> p_organization_id THEN
        UPDATE sessions SET organization_id = p_organization_id WHERE id = v_principal.session_id;
        PERFORM audit_append(p_organization_id, 'session.organization_changed', v_principal.user_id,
                             prefixed_id('ses_', v_principal.session_id));
    END IF;
    RETURN json_build_object(
        'session_id', prefixed_id('ses_', v_principal.session_id),
        'user_id', prefixed_id('usr_', v_principal.user_id),
        'organization_id', prefixed_id('org_', p_organization_id));
END;
$$;
