-- Takes away what a member may spend of the pool in one currency.
CREATE OR REPLACE FUNCTION credit_pool_allocation_delete(
    p_digest bytea, p_organization_id uuid, p_user_id uuid, p_currency text
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_hold record;
    v_caller principal;
BEGIN
    v_hold := organization_hold(p_digest, p_organization_id, 'pool:manage');
    IF v_hold.refusal IS NOT NULL THEN
        RETURN v_hold.refusal;
    END IF;
    v_caller := v_hold.caller;
    IF allocations_remove(p_organization_id, p_user_id, p_currency, v_caller.user_id) = 0 THEN
        RETURN json_build_object('refusal', 'not_found');
    END IF;
    RETURN json_build_object('status', 'removed');
END;
$$;
