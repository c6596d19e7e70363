-- What groups counted, by the values of a matrix: what has no value is the empty one.
CREATE OR REPLACE FUNCTION charge_usage_cells(p_groups jsonb, p_factor numeric) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_found record;
BEGIN
    SELECT coalesce(jsonb_agg(jsonb_build_object('values', g.names, 'quantity', usage_quantity_text(g.quantity, 1))),
                    '[]') AS used,
           coalesce(jsonb_agg(jsonb_build_object(
                        'values', g.names, 'quantity', usage_quantity_text(g.quantity, coalesce(p_factor, 1)))),
                    '[]') AS expected
      INTO v_found
      FROM (SELECT (SELECT jsonb_agg(coalesce(n.value #>> '{}', '') ORDER BY n.ordinality)
                      FROM jsonb_array_elements(e.value -> 0) WITH ORDINALITY n) AS names,
                   (SELECT coalesce((c.value ->> 2)::numeric, 0)
                      FROM jsonb_array_elements(e.value -> 1) c WHERE c.value ->> 0 = '0') AS quantity
              FROM jsonb_array_elements(coalesce(p_groups, '[]')) e) g;
    RETURN jsonb_build_object(
        'usage', jsonb_build_object('cells', v_found.used),
        'expected', CASE WHEN p_factor IS NOT NULL THEN jsonb_build_object('cells', v_found.expected) END);
END;
$$;
