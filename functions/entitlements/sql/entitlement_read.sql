-- One entitlement of an organization, current or not.
CREATE OR REPLACE FUNCTION entitlement_read(p_digest bytea, p_organization_id uuid, p_id uuid) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_organization_id uuid := coalesce(p_organization_id, v_principal.organization_id);
    v_refusal json := entitlements_refusal(v_principal, v_organization_id, 'entitlements:read');
    v_entitlement entitlements;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    SELECT * INTO v_entitlement FROM entitlements WHERE organization_id = v_organization_id AND id = p_id;
    IF NOT FOUND THEN
        RETURN json_build_object('refusal', 'not_found');
    END IF;
    RETURN json_build_object('entitlement', entitlement_json(v_entitlement));
END;
$$;
