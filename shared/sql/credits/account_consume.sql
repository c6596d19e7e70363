-- Decides on spends of one account, in their order, and posts those that are granted. The account
-- is a person's or, without one, the organization's pool, of which each spender also needs an
-- allocation. Answers each spend, in the same order; one that has a refusal already, with that.
--
-- The account's row is locked before anything is decided, so that the balance cannot go below
-- zero, and the allocations' rows after it; a refund does the same, and what changes or removes an
-- allocation locks no account. So nobody waits in a circle for these. The moment at which all are
-- held decides to which period a spend belongs, and is the one at which it comes to pass.
--
-- An answer is remembered under its key at once. So a key that comes again among the spends is
-- found as it would be in a later statement. Whoever sends the same keys in another order for two
-- accounts at once can have two statements wait in a circle; Postgres ends one, which is sent again.
CREATE OR REPLACE FUNCTION account_consume(
    p_organization_id uuid, p_user_id uuid, p_currency text, p_spends credit_spend[]
) RETURNS json[]
LANGUAGE plpgsql AS $$
DECLARE
    v_is_pool boolean := p_user_id IS NULL;
    v_account credit_accounts;
    v_allocation credit_pool_allocations;
    v_now timestamptz;
    v_spend credit_spend;
    v_transfer ledger_transfers;
    v_posted ledger_transfers[] := ARRAY[]::ledger_transfers[];
    v_answer json;
    v_answers json[] := ARRAY[]::json[];
BEGIN
    IF v_is_pool THEN
        v_account := pool_hold_row(p_organization_id, p_currency);
        -- In the order of their keys, so that two statements do not wait for each other.
        PERFORM 1 FROM credit_pool_allocations
          WHERE organization_id = p_organization_id AND currency = p_currency
            AND user_id = ANY (ARRAY(SELECT s.actor_id FROM unnest(p_spends) s WHERE s.refusal IS NULL))
          ORDER BY user_id
            FOR NO KEY UPDATE;
    ELSE
        v_account := account_hold_row(p_organization_id, p_user_id, p_currency);
    END IF;
    v_now := greatest(clock_timestamp(), v_account.last_occurred_at);
    -- What fell due while allocations were waited for.
    IF v_account.next_due_at <= v_now THEN
        v_account := account_settle(v_account, v_now);
    END IF;
    FOREACH v_spend IN ARRAY p_spends LOOP
        v_answer := v_spend.refusal;
        IF v_answer IS NULL THEN
            v_answer := idempotent_answer(p_organization_id, v_spend.actor_id, v_spend.key, v_spend.request_digest);
        END IF;
        IF v_answer IS NULL AND v_is_pool THEN
            -- Locked here too, because it may have been made since.
            SELECT * INTO v_allocation FROM credit_pool_allocations
             WHERE organization_id = p_organization_id AND user_id = v_spend.actor_id AND currency = p_currency
               FOR NO KEY UPDATE;
            v_allocation := allocation_as_of(v_allocation, v_now);
            IF v_allocation.user_id IS NULL THEN
                v_answer := '{"refusal":"allocation_required"}';
            END IF;
        END IF;
        IF v_answer IS NOT NULL THEN
            v_answers := v_answers || v_answer;
            CONTINUE;
        END IF;
        IF v_is_pool AND v_allocation.spending_limit - v_allocation.used < v_spend.amount THEN
            v_answer := json_build_object(
                'refusal', 'allocation_exceeded',
                'remaining', money_json(greatest(v_allocation.spending_limit - v_allocation.used, 0), p_currency));
        ELSIF v_account.id IS NULL OR v_account.available < v_spend.amount THEN
            v_answer := json_build_object(
                'refusal', 'insufficient_credits',
                'available', money_json(coalesce(v_account.available, 0), p_currency));
        ELSIF NOT usage_names_fit(p_organization_id, v_account.id, v_spend.service, v_spend.model,
                                  utc_day(v_now), v_posted) THEN
            -- No decision: there is room again on another day.
            v_answers := v_answers || '{"refusal":"too_many_usage_names"}'::json;
            CONTINUE;
        ELSE
            v_account.available := v_account.available - v_spend.amount;
            v_account.consumed := v_account.consumed + v_spend.amount;
            v_account.sequence := v_account.sequence + 1;
            v_account.last_occurred_at := v_now;
            v_transfer := spend_transfer(v_account, v_spend);
            v_posted := v_posted || v_transfer;
            v_answer := json_build_object('transaction', transfer_json(v_transfer, p_currency));
            IF v_is_pool THEN
                UPDATE credit_pool_allocations
                   SET used = v_allocation.used + v_spend.amount,
                       period_started_at = v_allocation.period_started_at,
                       period_ends_at = v_allocation.period_ends_at
                 WHERE organization_id = p_organization_id AND user_id = v_spend.actor_id AND currency = p_currency
                RETURNING * INTO v_allocation;
                v_answer := json_build_object(
                    'transaction', transfer_json(v_transfer, p_currency),
                    'allocation', allocation_json(v_allocation, v_now));
            END IF;
        END IF;
        v_answers := v_answers || idempotent_answer_keep(
            p_organization_id, v_spend.actor_id, v_spend.key, v_spend.request_digest, v_answer);
    END LOOP;
    IF cardinality(v_posted) > 0 THEN
        PERFORM spends_post(v_account, v_posted);
    END IF;
    RETURN v_answers;
END;
$$;
