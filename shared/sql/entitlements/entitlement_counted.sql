-- What the meter of an entitlement counted of its subject from p_since until p_until.
CREATE OR REPLACE FUNCTION entitlement_counted(
    p_entitlement entitlements, p_since timestamptz, p_until timestamptz, OUT counted numeric
)
LANGUAGE plpgsql STABLE
SET jit = off
AS $$
DECLARE
    v_is_count boolean;
BEGIN
    SELECT m.aggregation = 'count' INTO v_is_count FROM meters m
     WHERE m.organization_id = p_entitlement.organization_id AND m.id = p_entitlement.meter_id;
    IF p_entitlement.subject = '' THEN
        SELECT sum(CASE WHEN v_is_count THEN r.events ELSE r.total END) INTO counted
          FROM usage_rollups r
         WHERE r.organization_id = p_entitlement.organization_id AND r.meter_id = p_entitlement.meter_id
           AND r.slot_at >= p_since AND r.slot_at < p_until;
    ELSE
        SELECT sum(CASE WHEN v_is_count THEN r.events ELSE r.total END) INTO counted
          FROM usage_subject_rollups r
         WHERE r.organization_id = p_entitlement.organization_id AND r.meter_id = p_entitlement.meter_id
           AND r.subject = p_entitlement.subject AND r.slot_at >= p_since AND r.slot_at < p_until;
    END IF;
    counted := coalesce(counted, 0);
END;
$$;
