-- Changes a limit, whether it is soft, and when it ends; null leaves the first two as
-- they are, and the last one too unless p_sets_expiry says that there is none.
CREATE OR REPLACE FUNCTION entitlement_change(
    p_digest bytea, p_organization_id uuid, p_id uuid, p_limit numeric, p_is_soft boolean, p_sets_expiry boolean,
    p_expires_at timestamptz
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_hold record := entitlement_hold(p_digest, p_organization_id, p_id);
    v_caller principal := v_hold.caller;
    v_entitlement entitlements := v_hold.entitlement;
    v_changed entitlements;
BEGIN
    IF v_hold.refusal IS NOT NULL THEN
        RETURN v_hold.refusal;
    ELSIF NOT v_entitlement.is_current THEN
        RETURN json_build_object('refusal', 'entitlement_ended');
    ELSIF v_entitlement.type = 'boolean' AND num_nonnulls(p_limit, p_is_soft) > 0 THEN
        RETURN json_build_object('refusal', 'entitlement_not_metered');
    END IF;
    v_changed := v_entitlement;
    v_changed.usage_limit := coalesce(p_limit, v_entitlement.usage_limit);
    v_changed.is_soft := coalesce(p_is_soft, v_entitlement.is_soft);
    IF p_sets_expiry THEN
        v_changed.expires_at := p_expires_at;
    END IF;
    IF v_changed IS DISTINCT FROM v_entitlement THEN
        -- The time that it has already may be past.
        IF v_changed.expires_at IS DISTINCT FROM v_entitlement.expires_at AND p_expires_at <= clock_timestamp() THEN
            RETURN json_build_object('refusal', 'expires_too_early');
        END IF;
        UPDATE entitlements e
           SET usage_limit = v_changed.usage_limit, is_soft = v_changed.is_soft, expires_at = v_changed.expires_at,
               updated_at = clock_timestamp()
         WHERE e.organization_id = v_entitlement.organization_id AND e.id = p_id
        RETURNING * INTO v_changed;
        PERFORM audit_append(
            v_entitlement.organization_id, 'entitlement.changed', v_caller.user_id, prefixed_id('ent_', p_id),
            jsonb_build_object(
                'feature', v_changed.feature, 'subject', nullif(v_changed.subject, ''),
                'limit', trim_scale(v_changed.usage_limit)::text, 'is_soft', v_changed.is_soft,
                'expires_at', rfc3339(v_changed.expires_at),
                'previous', jsonb_build_object(
                    'limit', trim_scale(v_entitlement.usage_limit)::text, 'is_soft', v_entitlement.is_soft,
                    'expires_at', rfc3339(v_entitlement.expires_at))));
    END IF;
    RETURN json_build_object('entitlement', entitlement_json(v_changed));
END;
$$;
