-- Gives an entitlement. Safe to send twice: the id is the caller's. One that has
-- expired makes room for the next.
CREATE OR REPLACE FUNCTION entitlement_create(
    p_digest bytea, p_id uuid, p_organization_id uuid, p_subject text, p_feature text, p_type text, p_meter text,
    p_limit numeric, p_period text, p_is_soft boolean, p_expires_at timestamptz, p_max_current integer
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_hold record := entitlements_hold(p_digest, p_organization_id);
    v_caller principal := v_hold.caller;
    v_now timestamptz := clock_timestamp();
    v_entitlement entitlements;
    v_expired entitlements;
    v_meter meters;
BEGIN
    IF v_hold.refusal IS NOT NULL THEN
        RETURN v_hold.refusal;
    END IF;
    IF p_subject IS NULL THEN
        IF 'entitlements:grant' <> ALL (v_caller.permissions) THEN
            RETURN json_build_object('refusal', 'forbidden', 'permission', 'entitlements:grant');
        ELSIF p_organization_id IS NULL THEN
            RETURN json_build_object('refusal', 'organization_required');
        END IF;
    END IF;
    SELECT * INTO v_entitlement FROM entitlements WHERE organization_id = v_hold.organization_id AND id = p_id;
    IF FOUND THEN
        RETURN json_build_object('entitlement', entitlement_json(v_entitlement));
    END IF;
    IF p_expires_at <= v_now THEN
        RETURN json_build_object('refusal', 'expires_too_early');
    END IF;
    IF p_meter IS NOT NULL THEN
        SELECT * INTO v_meter FROM meters
         WHERE organization_id = v_hold.organization_id AND slug = p_meter AND archived_at IS NULL;
        IF NOT FOUND THEN
            RETURN json_build_object('refusal', 'meter_unknown');
        ELSIF v_meter.aggregation NOT IN ('count', 'sum') THEN
            RETURN json_build_object('refusal', 'meter_unsupported');
        END IF;
    END IF;
    SELECT n.entitlement_id INTO v_expired.id FROM entitlement_names n
     WHERE n.organization_id = v_hold.organization_id AND n.subject = coalesce(p_subject, '') AND n.feature = p_feature;
    IF FOUND THEN
        SELECT * INTO v_expired FROM entitlements WHERE organization_id = v_hold.organization_id AND id = v_expired.id;
        IF v_expired.expires_at IS NULL OR v_expired.expires_at > v_now THEN
            RETURN json_build_object('refusal', 'entitlement_exists');
        END IF;
        UPDATE entitlements SET is_current = false
         WHERE organization_id = v_hold.organization_id AND id = v_expired.id;
    ELSE
        IF (SELECT current FROM entitlement_counts WHERE organization_id = v_hold.organization_id) >= p_max_current THEN
            RETURN json_build_object('refusal', 'entitlement_limit');
        END IF;
        PERFORM entitlement_count_add(v_hold.organization_id, 1);
    END IF;
    INSERT INTO entitlements (organization_id, id, subject, feature, type, meter_id, usage_limit, period, time_zone,
                              is_soft, expires_at, created_at, updated_at)
    VALUES (v_hold.organization_id, p_id, coalesce(p_subject, ''), p_feature, p_type, v_meter.id, p_limit, p_period,
            CASE WHEN p_subject IS NULL THEN (SELECT o.time_zone FROM organizations o WHERE o.id = v_hold.organization_id) END,
            p_is_soft, p_expires_at, v_now, v_now)
    RETURNING * INTO v_entitlement;
    INSERT INTO entitlement_names (organization_id, subject, feature, entitlement_id)
    VALUES (v_hold.organization_id, v_entitlement.subject, p_feature, p_id)
    ON CONFLICT (organization_id, subject, feature) DO UPDATE SET entitlement_id = excluded.entitlement_id;
    PERFORM audit_append(
        v_hold.organization_id, 'entitlement.created', v_caller.user_id, prefixed_id('ent_', p_id),
        jsonb_strip_nulls(jsonb_build_object(
            'feature', p_feature, 'subject', p_subject, 'type', p_type, 'meter', p_meter,
            'limit', trim_scale(p_limit)::text, 'period', p_period, 'is_soft', p_is_soft,
            'expires_at', rfc3339(p_expires_at), 'replaces', prefixed_id('ent_', v_expired.id))));
    RETURN json_build_object('entitlement', entitlement_json(v_entitlement));
END;
$$;
