-- One meter of the organization, by its slug.
CREATE OR REPLACE FUNCTION meter_read(p_digest bytea, p_slug text) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'usage:read');
    v_meter meters;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    SELECT * INTO v_meter FROM meters
     WHERE organization_id = v_principal.organization_id AND slug = p_slug;
    IF NOT FOUND THEN
        RETURN json_build_object('refusal', 'not_found');
    END IF;
    RETURN json_build_object('meter', meter_json(v_meter));
END;
$$;
