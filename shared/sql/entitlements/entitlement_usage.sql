-- What was used of an entitlement in its period at p_at; nulls for one without a meter.
-- Stable, so that it sees what the statement does that read the entitlement: a reset is in
-- both, or in neither, and so is what upkeep has settled.
CREATE OR REPLACE FUNCTION entitlement_usage(
    p_entitlement entitlements, p_at timestamptz, OUT started_at timestamptz, OUT ends_at timestamptz,
    OUT counted numeric, OUT used numeric
)
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF p_entitlement.meter_id IS NULL THEN
        RETURN;
    END IF;
    SELECT b.started_at, b.ends_at INTO started_at, ends_at FROM entitlement_bounds(p_entitlement, p_at) b;
    IF p_entitlement.settled_from = started_at THEN
        counted := p_entitlement.settled_used
                   + entitlement_counted(p_entitlement, p_entitlement.settled_until, ends_at);
    ELSE
        counted := entitlement_counted(p_entitlement, started_at, ends_at);
    END IF;
    used := counted;
    IF p_entitlement.reset_period_ends_at > p_at THEN
        used := counted - p_entitlement.used_before;
    END IF;
END;
$$;
