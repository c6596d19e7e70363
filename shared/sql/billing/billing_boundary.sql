-- The boundary between periods that is p_steps periods from the anchor, on the clocks of the
-- account's zone. It is worked out from the anchor and never from the boundary before, so that an
-- anchor day that a month lacks is its last day, and comes again in the next month that has it.
CREATE OR REPLACE FUNCTION billing_boundary(
    p_unit text, p_count integer, p_anchor timestamp, p_anchor_day integer, p_steps integer
) RETURNS timestamp
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    v_month timestamp;
    v_days integer;
BEGIN
    IF p_unit IN ('day', 'week') THEN
        RETURN p_anchor + make_interval(days => p_steps * p_count * CASE p_unit WHEN 'week' THEN 7 ELSE 1 END);
    END IF;
    v_month := date_trunc('month', p_anchor)
               + make_interval(months => p_steps * p_count * billing_unit_months(p_unit));
    v_days := extract(day FROM v_month + interval '1 month' - interval '1 day');
    RETURN v_month + make_interval(days => least(p_anchor_day, v_days) - 1) + p_anchor::time;
END;
$$;
