-- Takes an entitlement away. Of one that was revoked before nothing changes.
CREATE OR REPLACE FUNCTION entitlement_revoke(p_digest bytea, p_organization_id uuid, p_id uuid) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_hold record := entitlement_hold(p_digest, p_organization_id, p_id);
    v_caller principal := v_hold.caller;
    v_entitlement entitlements := v_hold.entitlement;
BEGIN
    IF v_hold.refusal IS NOT NULL THEN
        RETURN v_hold.refusal;
    END IF;
    IF v_entitlement.revoked_at IS NULL THEN
        IF v_entitlement.is_current THEN
            PERFORM entitlement_count_add(v_entitlement.organization_id, -1);
            DELETE FROM entitlement_names n
             WHERE n.organization_id = v_entitlement.organization_id AND n.subject = v_entitlement.subject
               AND n.feature = v_entitlement.feature;
        END IF;
        UPDATE entitlements e SET is_current = false, revoked_at = clock_timestamp(), updated_at = clock_timestamp()
         WHERE e.organization_id = v_entitlement.organization_id AND e.id = p_id
        RETURNING * INTO v_entitlement;
        PERFORM audit_append(
            v_entitlement.organization_id, 'entitlement.revoked', v_caller.user_id, prefixed_id('ent_', p_id),
            jsonb_build_object('feature', v_entitlement.feature, 'subject', nullif(v_entitlement.subject, '')));
    END IF;
    RETURN json_build_object('entitlement', entitlement_json(v_entitlement));
END;
$$;
