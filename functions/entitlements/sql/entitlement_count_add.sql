-- Counts current entitlements up or down; the organization's row is held.
CREATE OR REPLACE FUNCTION entitlement_count_add(p_organization_id uuid, p_added integer) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO entitlement_counts AS c (organization_id, current) VALUES (p_organization_id, greatest(p_added, 0))
    ON CONFLICT (organization_id) DO UPDATE SET current = c.current + p_added
$$;
