-- What a meter counted, by the hours of the subscription's zone: all equal hours together.
CREATE OR REPLACE FUNCTION charge_usage_hours(
    p_subscription subscriptions, p_meter meters, p_since timestamptz, p_until timestamptz, p_factor numeric
) RETURNS jsonb
LANGUAGE plpgsql STABLE
SET jit = off
AS $$
DECLARE
    v_found record;
BEGIN
    WITH hours AS (
        SELECT r.slot_at AT TIME ZONE p_subscription.time_zone AS at,
               CASE p_meter.aggregation WHEN 'count' THEN r.events ELSE r.total END AS quantity
          FROM usage_rollups r
         WHERE r.organization_id = p_meter.organization_id AND r.meter_id = p_meter.id
           AND r.slot_at >= p_since AND r.slot_at < p_until
    ), equal AS (
        SELECT extract(month FROM at)::integer AS month, extract(isodow FROM at)::integer AS weekday,
               extract(hour FROM at)::integer AS hour, sum(quantity) AS quantity
          FROM hours GROUP BY 1, 2, 3
    ), named AS (
        SELECT jsonb_build_object('month', month, 'hour', hour, 'weekday', (
                   '{monday,tuesday,wednesday,thursday,friday,saturday,sunday}'::text[])[weekday]) AS hour,
               quantity
          FROM equal
         WHERE quantity <> 0
    )
    SELECT coalesce(jsonb_agg(n.hour || jsonb_build_object('quantity', usage_quantity_text(n.quantity, 1))),
                    '[]') AS used,
           coalesce(jsonb_agg(n.hour || jsonb_build_object(
                        'quantity', usage_quantity_text(n.quantity, coalesce(p_factor, 1)))), '[]') AS expected
      INTO v_found FROM named n;
    RETURN jsonb_build_object(
        'usage', jsonb_build_object('hours', v_found.used),
        'expected', CASE WHEN p_factor IS NOT NULL THEN jsonb_build_object('hours', v_found.expected) END);
END;
$$;
