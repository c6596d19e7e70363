-- A page of the current entitlements of an organization, newest first, and one more if
-- there is one.
CREATE OR REPLACE FUNCTION entitlements_list(
    p_digest bytea, p_organization_id uuid, p_subject text, p_feature text, p_limit integer, p_before bigint
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_organization_id uuid := coalesce(p_organization_id, v_principal.organization_id);
    v_refusal json := entitlements_refusal(v_principal, v_organization_id, 'entitlements:read');
    v_page entitlements[];
    v_id uuid;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    -- A statement for each, so that each has the plan of its index.
    IF p_subject IS NOT NULL AND p_feature IS NOT NULL THEN
        SELECT n.entitlement_id INTO v_id FROM entitlement_names n
         WHERE n.organization_id = v_organization_id AND n.subject = p_subject AND n.feature = p_feature;
        v_page := ARRAY(SELECT e FROM entitlements e
                         WHERE e.organization_id = v_organization_id AND e.id = v_id AND e.sequence < p_before);
    ELSIF p_subject IS NOT NULL THEN
        v_page := ARRAY(SELECT e FROM entitlements e
                         WHERE e.organization_id = v_organization_id AND e.is_current AND e.subject = p_subject
                           AND e.sequence < p_before ORDER BY e.sequence DESC LIMIT p_limit + 1);
    ELSIF p_feature IS NOT NULL THEN
        v_page := ARRAY(SELECT e FROM entitlements e
                         WHERE e.organization_id = v_organization_id AND e.is_current AND e.feature = p_feature
                           AND e.sequence < p_before ORDER BY e.sequence DESC LIMIT p_limit + 1);
    ELSE
        v_page := ARRAY(SELECT e FROM entitlements e
                         WHERE e.organization_id = v_organization_id AND e.is_current
                           AND e.sequence < p_before ORDER BY e.sequence DESC LIMIT p_limit + 1);
    END IF;
    RETURN (SELECT coalesce(json_agg(json_build_object('sequence', e.sequence, 'entitlement', entitlement_json(e))
                                     ORDER BY e.sequence DESC), '[]'::json)
              FROM unnest(v_page) e);
END;
$$;
