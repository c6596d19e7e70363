-- Makes an organization that the token's user owns.
CREATE OR REPLACE FUNCTION organization_create(p_digest bytea, p_id uuid, p_name text, p_max_owned integer) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    -- Held, so that requests side by side do not exceed the limit.
    v_principal principal := principal_hold(p_digest);
    v_refusal json := session_refusal(v_principal);
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    -- Sent twice, it was made by the first.
    IF NOT EXISTS (SELECT 1 FROM memberships WHERE organization_id = p_id AND user_id = v_principal.user_id) THEN
        IF (SELECT count(*) FROM memberships
             WHERE user_id = v_principal.user_id AND role = 'owner') >= p_max_owned THEN
            RETURN json_build_object('refusal', 'organization_limit');
        END IF;
        INSERT INTO organizations (id, name) VALUES (p_id, p_name);
        INSERT INTO memberships (organization_id, user_id, role) VALUES (p_id, v_principal.user_id, 'owner');
        PERFORM audit_append(p_id, 'organization.created', v_principal.user_id, prefixed_id('org_', p_id),
                             jsonb_build_object('name', p_name));
    END IF;
    RETURN organization_json(p_id, v_principal.user_id);
END;
$$;
