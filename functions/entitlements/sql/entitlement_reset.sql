-- Lets usage count from now on: what was counted until now is subtracted until the
-- period ends. Safe to send twice, because the key is the same.
CREATE OR REPLACE FUNCTION entitlement_reset(p_digest bytea, p_organization_id uuid, p_id uuid, p_key text) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_hold record := entitlement_hold(p_digest, p_organization_id, p_id);
    v_caller principal := v_hold.caller;
    v_entitlement entitlements := v_hold.entitlement;
    v_now timestamptz := clock_timestamp();
    v_usage record;
    v_used numeric;
    v_is_replayed boolean;
    v_answer json;
BEGIN
    IF v_hold.refusal IS NOT NULL THEN
        RETURN v_hold.refusal;
    END IF;
    SELECT used INTO v_used FROM entitlement_resets
     WHERE organization_id = v_entitlement.organization_id AND entitlement_id = p_id AND key = p_key;
    v_is_replayed := FOUND;
    IF NOT v_is_replayed THEN
        IF NOT v_entitlement.is_current THEN
            RETURN json_build_object('refusal', 'entitlement_ended');
        ELSIF v_entitlement.type = 'boolean' THEN
            RETURN json_build_object('refusal', 'entitlement_not_metered');
        END IF;
        SELECT * INTO v_usage FROM entitlement_usage(v_entitlement, v_now);
        v_used := v_usage.used;
        UPDATE entitlements e
           SET reset_at = v_now, reset_period_started_at = v_usage.started_at, reset_period_ends_at = v_usage.ends_at,
               used_before = v_usage.counted, updated_at = v_now
         WHERE e.organization_id = v_entitlement.organization_id AND e.id = p_id
        RETURNING * INTO v_entitlement;
        INSERT INTO entitlement_resets (organization_id, entitlement_id, key, reset_at, used)
        VALUES (v_entitlement.organization_id, p_id, p_key, v_now, v_used);
        PERFORM audit_append(
            v_entitlement.organization_id, 'entitlement.reset', v_caller.user_id, prefixed_id('ent_', p_id),
            jsonb_build_object('feature', v_entitlement.feature, 'subject', nullif(v_entitlement.subject, ''),
                               'used', trim_scale(v_used)::text));
    END IF;
    v_answer := json_build_object(
        'entitlement', entitlement_json(v_entitlement), 'used_before', trim_scale(v_used)::text);
    RETURN CASE WHEN v_is_replayed THEN as_replayed(v_answer) ELSE v_answer END;
END;
$$;
