-- An entitlement as the API shows it.
CREATE OR REPLACE FUNCTION entitlement_json(p_entitlement entitlements) RETURNS json
LANGUAGE sql STABLE
RETURN json_build_object(
    'id', prefixed_id('ent_', (p_entitlement).id),
    'organization_id', prefixed_id('org_', (p_entitlement).organization_id),
    'subject', nullif((p_entitlement).subject, ''), 'feature', (p_entitlement).feature, 'type', (p_entitlement).type,
    'meter', (SELECT m.slug FROM meters m
               WHERE m.organization_id = (p_entitlement).organization_id AND m.id = (p_entitlement).meter_id),
    'limit', trim_scale((p_entitlement).usage_limit)::text, 'period', (p_entitlement).period,
    'is_soft', (p_entitlement).is_soft, 'expires_at', rfc3339((p_entitlement).expires_at),
    'reset_at', rfc3339((p_entitlement).reset_at), 'created_at', rfc3339((p_entitlement).created_at),
    'updated_at', rfc3339((p_entitlement).updated_at), 'revoked_at', rfc3339((p_entitlement).revoked_at));
