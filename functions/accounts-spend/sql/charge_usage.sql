-- What the meter of a charge counted, in the form in which the charge's model prices it: "usage" until
-- now, and "expected" until the end of the period, p_factor times as much where it is an amount that
-- grows with time. Where there is nothing to price, "unrated" says why.
CREATE OR REPLACE FUNCTION charge_usage(
    p_subscription subscriptions, p_charge jsonb, p_since timestamptz, p_until timestamptz, p_factor numeric,
    p_max_cells integer, p_max_events integer, p_max_series integer
) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    v_model jsonb := p_charge -> 'model';
    v_type text := v_model ->> 'type';
    v_meter meters;
    v_positions integer[] := ARRAY[]::integer[];
    v_groups jsonb;
    v_number_of_groups bigint;
    v_exceeded text;
    v_quantity numeric;
    v_factor numeric;
BEGIN
    SELECT * INTO v_meter FROM meters
     WHERE organization_id = p_subscription.organization_id AND slug = p_charge ->> 'metric';
    IF NOT FOUND THEN
        RETURN jsonb_build_object('unrated', 'no_meter');
    END IF;
    IF v_type IN ('percentage', 'dynamic', 'custom') THEN
        RETURN jsonb_build_object('unrated', 'needs_events');
    END IF;
    v_factor := CASE WHEN v_meter.aggregation IN ('count', 'sum', 'time_weighted_sum') THEN p_factor
                     WHEN p_factor IS NOT NULL THEN 1 END;
    IF v_type = 'time_of_use' THEN
        IF v_meter.aggregation NOT IN ('count', 'sum') THEN
            RETURN jsonb_build_object('unrated', 'not_kept');
        END IF;
        RETURN charge_usage_hours(p_subscription, v_meter, p_since, p_until, v_factor);
    END IF;
    IF v_type = 'matrix' THEN
        SELECT array_agg(array_position(v_meter.group_by, d.value) ORDER BY d.ordinality) INTO v_positions
          FROM jsonb_array_elements_text(v_model -> 'dimensions') WITH ORDINALITY d;
        IF array_position(v_positions, NULL) IS NOT NULL THEN
            RETURN jsonb_build_object('unrated', 'not_kept');
        END IF;
    END IF;
    IF p_since < p_until THEN
        SELECT c.o_groups, c.o_number_of_groups, c.o_exceeded INTO v_groups, v_number_of_groups, v_exceeded
          FROM usage_cells(v_meter, ARRAY[p_since], p_until, NULL, v_positions, p_max_cells, p_max_events,
                           p_max_series) c;
        IF v_exceeded IS NOT NULL OR v_number_of_groups > p_max_cells THEN
            RETURN jsonb_build_object('unrated', 'too_much');
        END IF;
    END IF;
    IF v_type = 'matrix' THEN
        RETURN charge_usage_cells(v_groups, v_factor);
    END IF;
    -- Of all usage together there is one group, and its bucket 0 is the whole.
    SELECT (c.value ->> 2)::numeric INTO v_quantity
      FROM jsonb_array_elements(v_groups -> 0 -> 1) c WHERE c.value ->> 0 = '0';
    RETURN jsonb_build_object(
        'usage', json_build_object('quantity', usage_quantity_text(coalesce(v_quantity, 0), 1)),
        'expected', CASE WHEN v_factor IS NOT NULL THEN
            json_build_object('quantity', usage_quantity_text(coalesce(v_quantity, 0), v_factor)) END);
END;
$$;
