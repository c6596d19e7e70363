-- How many periods from the anchor the last boundary lies that is not after a moment.
CREATE OR REPLACE FUNCTION billing_step_at(
    p_unit text, p_count integer, p_anchor timestamp, p_anchor_day integer, p_time_zone text, p_at timestamptz
) RETURNS integer
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    v_local timestamp := p_at AT TIME ZONE p_time_zone;
    -- Near it: what differs is the day of the month, the time, and what clocks skip or repeat.
    v_step integer := CASE
        WHEN p_unit = 'day' THEN floor((v_local::date - p_anchor::date)::numeric / p_count)
        WHEN p_unit = 'week' THEN floor((v_local::date - p_anchor::date)::numeric / (7 * p_count))
        ELSE floor((extract(year FROM v_local) * 12 + extract(month FROM v_local)
                    - extract(year FROM p_anchor) * 12 - extract(month FROM p_anchor))
                   / (p_count * billing_unit_months(p_unit))) END;
BEGIN
    WHILE local_moment(billing_boundary(p_unit, p_count, p_anchor, p_anchor_day, v_step), p_time_zone) > p_at LOOP
        v_step := v_step - 1;
    END LOOP;
    WHILE local_moment(billing_boundary(p_unit, p_count, p_anchor, p_anchor_day, v_step + 1), p_time_zone) <= p_at LOOP
        v_step := v_step + 1;
    END LOOP;
    RETURN v_step;
END;
$$;
