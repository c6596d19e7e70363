-- Keeps with an entitlement what it counted of its period and no event changes any more, until
-- p_final_at. It begins no further week after p_until, and a later call goes on where this one
-- stopped. Whoever calls holds the entitlement.
CREATE OR REPLACE FUNCTION entitlement_settle(
    p_entitlement entitlements, p_now timestamptz, p_final_at timestamptz, p_until timestamptz
) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_started_at timestamptz := (entitlement_bounds(p_entitlement, p_now)).started_at;
    v_settled_until timestamptz := v_started_at;
    v_used numeric := 0;
    v_first_at timestamptz;
    v_week_ends_at timestamptz;
BEGIN
    IF p_entitlement.settled_from = v_started_at THEN
        v_settled_until := p_entitlement.settled_until;
        v_used := p_entitlement.settled_used;
    END IF;
    WHILE v_settled_until < p_final_at AND clock_timestamp() < p_until LOOP
        -- Years without use cost one look.
        IF p_entitlement.subject = '' THEN
            SELECT min(r.slot_at) INTO v_first_at FROM usage_rollups r
             WHERE r.organization_id = p_entitlement.organization_id AND r.meter_id = p_entitlement.meter_id
               AND r.slot_at >= v_settled_until;
        ELSE
            SELECT min(r.slot_at) INTO v_first_at FROM usage_subject_rollups r
             WHERE r.organization_id = p_entitlement.organization_id AND r.meter_id = p_entitlement.meter_id
               AND r.subject = p_entitlement.subject AND r.slot_at >= v_settled_until;
        END IF;
        -- Least passes over a null.
        v_week_ends_at := least(p_final_at, v_first_at + interval '168 hours');
        v_used := v_used + entitlement_counted(p_entitlement, v_settled_until, v_week_ends_at);
        v_settled_until := v_week_ends_at;
    END LOOP;
    UPDATE entitlements e
       SET settled_from = v_started_at, settled_until = v_settled_until, settled_used = v_used
     WHERE e.organization_id = p_entitlement.organization_id AND e.id = p_entitlement.id;
END;
$$;
