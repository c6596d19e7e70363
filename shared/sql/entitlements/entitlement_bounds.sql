-- When the period of a metered entitlement began that p_at is in, and when it ends.
CREATE OR REPLACE FUNCTION entitlement_bounds(
    p_entitlement entitlements, p_at timestamptz, OUT started_at timestamptz, OUT ends_at timestamptz
)
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF p_entitlement.reset_period_ends_at > p_at THEN
        started_at := p_entitlement.reset_period_started_at;
        ends_at := p_entitlement.reset_period_ends_at;
        RETURN;
    END IF;
    SELECT p.started_at, p.ends_at INTO started_at, ends_at
      FROM organizations o,
           entitlement_period(p_entitlement.period, coalesce(p_entitlement.time_zone, o.time_zone), p_at) p
     WHERE o.id = p_entitlement.organization_id;
    -- In the zone that the organization has moved to, the period may have begun before the
    -- one that was reset ended, of which nothing counts any more.
    started_at := greatest(started_at, p_entitlement.reset_period_ends_at);
END;
$$;
