-- What was used of an entitlement in its period at p_at; nulls for one without a
-- meter. Stable, so that it sees what the statement does that read the entitlement:
-- a reset is in both, or in neither. `settles_until` is until when the sum is final
-- by now, and `settles_used` the sum until then.
CREATE OR REPLACE FUNCTION entitlement_usage(
    p_entitlement entitlements, p_at timestamptz, OUT started_at timestamptz, OUT ends_at timestamptz,
    OUT counted numeric, OUT used numeric, OUT settles_until timestamptz, OUT settles_used numeric
)
LANGUAGE plpgsql STABLE
SET jit = off
AS $$
DECLARE
    v_is_count boolean;
    v_since timestamptz;
    v_settled numeric := 0;
    v_final numeric;
BEGIN
    IF p_entitlement.meter_id IS NULL THEN
        RETURN;
    END IF;
    IF p_entitlement.reset_period_ends_at > p_at THEN
        started_at := p_entitlement.reset_period_started_at;
        ends_at := p_entitlement.reset_period_ends_at;
    ELSE
        SELECT p.started_at, p.ends_at INTO started_at, ends_at
          FROM organizations o,
               entitlement_period(p_entitlement.period, coalesce(p_entitlement.time_zone, o.time_zone), p_at) p
         WHERE o.id = p_entitlement.organization_id;
        -- In the zone that the organization has moved to, the period may have begun
        -- before the one that was reset ended, of which nothing counts any more.
        started_at := greatest(started_at, p_entitlement.reset_period_ends_at);
    END IF;
    SELECT m.aggregation = 'count' INTO v_is_count FROM meters m
     WHERE m.organization_id = p_entitlement.organization_id AND m.id = p_entitlement.meter_id;
    v_since := started_at;
    IF p_entitlement.settled_from = started_at THEN
        v_since := p_entitlement.settled_until;
        v_settled := p_entitlement.settled_used;
    END IF;
    -- By whole days, so that a day's checks settle once.
    settles_until := greatest(v_since, date_bin('1 day', p_at - entitlement_settling_interval(), 'epoch'));
    IF p_entitlement.subject = '' THEN
        SELECT sum(CASE WHEN v_is_count THEN r.events ELSE r.total END),
               sum(CASE WHEN v_is_count THEN r.events ELSE r.total END) FILTER (WHERE r.slot_at < settles_until)
          INTO counted, v_final
          FROM usage_rollups r
         WHERE r.organization_id = p_entitlement.organization_id AND r.meter_id = p_entitlement.meter_id
           AND r.slot_at >= v_since AND r.slot_at < entitlement_usage.ends_at;
    ELSE
        SELECT sum(CASE WHEN v_is_count THEN r.events ELSE r.total END),
               sum(CASE WHEN v_is_count THEN r.events ELSE r.total END) FILTER (WHERE r.slot_at < settles_until)
          INTO counted, v_final
          FROM usage_subject_rollups r
         WHERE r.organization_id = p_entitlement.organization_id AND r.meter_id = p_entitlement.meter_id
           AND r.subject = p_entitlement.subject AND r.slot_at >= v_since AND r.slot_at < entitlement_usage.ends_at;
    END IF;
    counted := v_settled + coalesce(counted, 0);
    settles_used := v_settled + coalesce(v_final, 0);
    IF settles_until = v_since THEN
        settles_until := NULL;
    END IF;
    used := counted;
    IF p_entitlement.reset_period_ends_at > p_at THEN
        used := counted - p_entitlement.used_before;
    END IF;
END;
$$;
