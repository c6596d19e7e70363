-- The allocations in one currency, or in all without one, newest first: one more than the page
-- holds if there is one.
CREATE OR REPLACE FUNCTION credit_pool_allocations_list(
    p_digest bytea, p_organization_id uuid, p_currency text, p_limit integer, p_before bigint
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := organization_refusal(v_principal, p_organization_id, 'pool:manage');
    v_page credit_pool_allocations[];
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    -- A statement for each index.
    IF p_currency IS NULL THEN
        v_page := ARRAY(
            SELECT a FROM credit_pool_allocations a
             WHERE organization_id = p_organization_id AND sequence < p_before
             ORDER BY sequence DESC LIMIT p_limit + 1);
    ELSE
        v_page := ARRAY(
            SELECT a FROM credit_pool_allocations a
             WHERE organization_id = p_organization_id AND currency = p_currency AND sequence < p_before
             ORDER BY sequence DESC LIMIT p_limit + 1);
    END IF;
    RETURN (
        SELECT coalesce(json_agg(json_build_object(
                   'sequence', a.sequence, 'allocation', allocation_json(a, clock_timestamp()))
                   ORDER BY a.sequence DESC), '[]'::json)
          FROM unnest(v_page) a);
END;
$$;
