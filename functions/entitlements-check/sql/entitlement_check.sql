-- Whether a feature may be used now, exact to the last event that was acknowledged.
-- Without a quantity, or of none: whether anything is left. It reads, and reserves nothing.
CREATE OR REPLACE FUNCTION entitlement_check(p_digest bytea, p_feature text, p_subject text, p_quantity numeric) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'entitlements:read');
    v_now timestamptz := clock_timestamp();
    v_id uuid;
    v_found record;
    v_entitlement entitlements;
    v_reason text;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    SELECT n.entitlement_id INTO v_id FROM entitlement_names n
     WHERE n.organization_id = v_principal.organization_id AND n.subject = coalesce(p_subject, '')
       AND n.feature = p_feature;
    SELECT e AS entitlement, u.* INTO v_found
      FROM entitlements e, entitlement_usage(e, v_now) u
     WHERE e.organization_id = v_principal.organization_id AND e.id = v_id;
    IF NOT FOUND THEN
        RETURN json_build_object('feature', p_feature, 'subject', p_subject, 'has_access', false,
                                 'reason', 'not_entitled');
    END IF;
    v_entitlement := v_found.entitlement;
    v_reason := CASE
        WHEN v_entitlement.expires_at <= v_now THEN 'expired'
        WHEN v_entitlement.is_soft THEN NULL
        WHEN v_found.used >= v_entitlement.usage_limit THEN 'limit_reached'
        WHEN v_found.used + p_quantity > v_entitlement.usage_limit THEN 'would_exceed' END;
    -- Zero times what was used, so that without a meter there is nothing at all.
    RETURN json_build_object(
        'feature', p_feature, 'subject', p_subject, 'has_access', v_reason IS NULL, 'reason', v_reason,
        'type', v_entitlement.type,
        'limit', trim_scale(v_entitlement.usage_limit)::text, 'used', trim_scale(v_found.used)::text,
        'remaining', trim_scale(greatest(v_entitlement.usage_limit - v_found.used, v_found.used * 0))::text,
        'overage', trim_scale(greatest(v_found.used - v_entitlement.usage_limit, v_found.used * 0))::text,
        'period_started_at', rfc3339(nullif(v_found.started_at, '-infinity')),
        'resets_at', rfc3339(nullif(v_found.ends_at, 'infinity')));
END;
$$;
