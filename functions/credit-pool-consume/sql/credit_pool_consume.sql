-- Spends from the pool of the token's organization, within the caller's
-- allocation.
--
-- The pool's row is locked first and the allocation's after it; a refund does the
-- same, and what changes or removes an allocation locks no account. So nobody
-- waits in a circle. The moment at which both are held decides to which period
-- the spend belongs, and is the one at which it comes to pass.
CREATE OR REPLACE FUNCTION credit_pool_consume(
    p_digest bytea, p_key text, p_request_digest bytea, p_transfer_id uuid,
    p_organization_id uuid, p_currency text, p_amount numeric, p_description text,
    p_service text DEFAULT NULL, p_model text DEFAULT NULL
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_answer json := organization_refusal(v_principal, p_organization_id, 'pool:consume');
    v_transfer_id uuid := owned_id(p_organization_id, p_transfer_id);
    v_account credit_accounts;
    v_allocation credit_pool_allocations;
    v_post record;
    v_now timestamptz;
BEGIN
    IF v_answer IS NOT NULL THEN
        RETURN v_answer;
    END IF;
    v_account := pool_hold_row(p_organization_id, p_currency);
    v_answer := idempotent_answer(p_organization_id, v_principal.user_id, p_key, p_request_digest);
    IF v_answer IS NOT NULL THEN
        RETURN v_answer;
    END IF;
    SELECT * INTO v_allocation FROM credit_pool_allocations
     WHERE organization_id = p_organization_id AND user_id = v_principal.user_id AND currency = p_currency
       FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN json_build_object('refusal', 'allocation_required');
    END IF;
    v_now := greatest(clock_timestamp(), v_account.last_occurred_at);
    -- What fell due while the allocation was waited for.
    IF v_account.next_due_at <= v_now THEN
        v_account := account_settle(v_account, v_now);
    END IF;
    v_allocation := allocation_as_of(v_allocation, v_now);
    IF v_allocation.spending_limit - v_allocation.used < p_amount THEN
        v_answer := json_build_object(
            'refusal', 'allocation_exceeded',
            'remaining', money_json(greatest(v_allocation.spending_limit - v_allocation.used, 0), p_currency));
    ELSIF v_account.id IS NULL OR v_account.available < p_amount THEN
        v_answer := json_build_object(
            'refusal', 'insufficient_credits',
            'available', money_json(coalesce(v_account.available, 0), p_currency));
    ELSIF NOT usage_names_fit(p_organization_id, v_account.id, p_service, p_model) THEN
        RETURN json_build_object('refusal', 'too_many_usage_names');
    ELSE
        v_post := ledger_post(v_account, v_transfer_id, 'consume', 'available', 'consumed', p_amount,
                              p_description, v_principal.user_id, v_now, NULL, p_service, p_model);
        INSERT INTO credit_movements (organization_id, transfer_id, grant_id, amount, position)
        SELECT p_organization_id, v_transfer_id, t.grant_id, t.amount, t.part
          FROM grants_take(p_organization_id, v_account.id, p_amount, false) t;
        UPDATE credit_pool_allocations
           SET used = v_allocation.used + p_amount,
               period_started_at = v_allocation.period_started_at,
               period_ends_at = v_allocation.period_ends_at
         WHERE organization_id = p_organization_id AND user_id = v_principal.user_id AND currency = p_currency
        RETURNING * INTO v_allocation;
        v_answer := json_build_object(
            'transaction', transfer_json(v_post.transfer, p_currency),
            'allocation', allocation_json(v_allocation, v_now));
    END IF;
    RETURN idempotent_answer_keep(p_organization_id, v_principal.user_id, p_key, p_request_digest, v_answer);
END;
$$;
