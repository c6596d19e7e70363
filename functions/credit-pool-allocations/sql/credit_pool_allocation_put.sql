-- Says what a member may take. Another limit keeps what was used; another reset
-- begins a new period. Of changes at once each waits for the organization's row,
-- and for the spend that is under way.
CREATE OR REPLACE FUNCTION credit_pool_allocation_put(
    p_digest bytea, p_organization_id uuid, p_user_id uuid, p_currency text, p_limit numeric, p_reset text,
    p_max_allocations integer
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_hold record;
    v_caller principal;
    v_old credit_pool_allocations;
    v_allocation credit_pool_allocations;
    v_now timestamptz;
BEGIN
    v_hold := organization_hold(p_digest, p_organization_id, 'pool:manage');
    IF v_hold.refusal IS NOT NULL THEN
        RETURN v_hold.refusal;
    END IF;
    v_caller := v_hold.caller;
    PERFORM 1 FROM memberships WHERE organization_id = p_organization_id AND user_id = p_user_id;
    IF NOT FOUND THEN
        RETURN json_build_object('refusal', 'not_found');
    END IF;
    SELECT * INTO v_old FROM credit_pool_allocations
     WHERE organization_id = p_organization_id AND user_id = p_user_id AND currency = p_currency
       FOR NO KEY UPDATE;
    v_now := clock_timestamp();
    IF v_old.user_id IS NULL
       AND (SELECT count(*) FROM credit_pool_allocations
             WHERE organization_id = p_organization_id AND currency = p_currency) >= p_max_allocations THEN
        RETURN json_build_object('refusal', 'allocation_limit');
    END IF;
    IF (v_old.spending_limit, v_old.reset) IS NOT DISTINCT FROM (p_limit, p_reset) THEN
        RETURN allocation_json(v_old, v_now);
    END IF;
    IF v_old.reset = p_reset THEN
        v_allocation := allocation_as_of(v_old, v_now);
    ELSE
        v_allocation.used := 0;
        v_allocation.period_started_at := v_now;
        v_allocation.period_ends_at := allocation_period_end(p_reset, v_now);
    END IF;
    INSERT INTO credit_pool_allocations (organization_id, user_id, currency, spending_limit, used, reset,
                                         period_started_at, period_ends_at)
    VALUES (p_organization_id, p_user_id, p_currency, p_limit, v_allocation.used, p_reset,
            v_allocation.period_started_at, v_allocation.period_ends_at)
    ON CONFLICT (organization_id, user_id, currency) DO UPDATE
       SET spending_limit = excluded.spending_limit, used = excluded.used, reset = excluded.reset,
           period_started_at = excluded.period_started_at, period_ends_at = excluded.period_ends_at
    RETURNING * INTO v_allocation;
    PERFORM audit_append(p_organization_id, 'allocation.changed', v_caller.user_id, prefixed_id('usr_', p_user_id),
                         jsonb_build_object('currency', p_currency, 'limit', v_allocation.spending_limit::text,
                                            'reset', p_reset,
                                            'previous_limit', v_old.spending_limit::text,
                                            'previous_reset', v_old.reset));
    RETURN allocation_json(v_allocation, v_now);
END;
$$;
