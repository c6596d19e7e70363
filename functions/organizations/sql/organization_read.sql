-- An organization, for one of its members.
CREATE OR REPLACE FUNCTION organization_read(p_digest bytea, p_id uuid) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := organization_refusal(v_principal, p_id, 'organization:read');
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    RETURN organization_json(p_id, v_principal.user_id);
END;
$$;
