-- Gives back what a transaction consumed, in whole or in part, to the grants it took
-- from: to the last one first, so that what was spent first stays spent. What goes back
-- to a grant that has expired or was voided goes its way at once. Without an amount it
-- is all that was not refunded yet.
--
-- What a member took from a pool in the current period of their allocation they may take
-- again. A period that is over is left as it was.
CREATE OR REPLACE FUNCTION credits_refund(
    p_digest bytea, p_key text, p_request_digest bytea, p_transfer_id uuid, p_consumed_id uuid,
    p_amount numeric DEFAULT NULL, p_currency text DEFAULT NULL
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_answer json := refusal(v_principal, 'credits:grant');
    v_consumed ledger_transfers := ledger_transfer_by_id(p_consumed_id);
    v_organization_id uuid := v_consumed.organization_id;
    v_transfer_id uuid := owned_id(v_organization_id, p_transfer_id);
    v_account credit_accounts;
    v_refundable numeric;
    v_left numeric;
    v_part record;
    v_return numeric;
    v_post record;
    v_now timestamptz;
    v_ends_at timestamptz := timestamptz 'infinity';
BEGIN
    IF v_answer IS NOT NULL THEN
        RETURN v_answer;
    END IF;
    v_account := account_hold_by_id(v_organization_id, v_consumed.account_id);
    v_answer := idempotent_answer(v_organization_id, v_principal.user_id, p_key, p_request_digest);
    IF v_answer IS NOT NULL THEN
        RETURN v_answer;
    END IF;
    IF v_consumed.credited IS DISTINCT FROM 'consumed' THEN
        RETURN json_build_object('refusal', 'not_found');
    END IF;
    IF p_currency <> v_account.currency THEN
        RETURN json_build_object('refusal', 'currency_mismatch', 'currency', v_account.currency);
    END IF;
    v_refundable := v_consumed.amount - coalesce(
        (SELECT sum(amount) FROM ledger_transfers
          WHERE organization_id = v_organization_id AND refunds_id = p_consumed_id), 0);
    v_left := coalesce(p_amount, v_refundable);
    IF v_left > v_refundable OR v_left = 0 THEN
        RETURN json_build_object('refusal', 'exceeds_refundable',
                                 'refundable', money_json(v_refundable, v_account.currency));
    END IF;
    IF v_account.user_id IS NULL THEN
        -- After the account's row, as a spend does it.
        PERFORM 1 FROM credit_pool_allocations
         WHERE organization_id = v_organization_id AND user_id = v_consumed.actor_id
           AND currency = v_account.currency FOR NO KEY UPDATE;
        v_now := greatest(clock_timestamp(), v_account.last_occurred_at);
        UPDATE credit_pool_allocations
           SET used = greatest(used - v_left, 0)
         WHERE organization_id = v_organization_id AND user_id = v_consumed.actor_id
           AND currency = v_account.currency
           AND v_consumed.occurred_at >= period_started_at AND v_now < period_ends_at;
    END IF;
    v_post := ledger_post(v_account, v_transfer_id, 'refund', 'consumed', 'available', v_left,
                          'refund', v_principal.user_id, v_now, p_consumed_id);
    v_account := v_post.account;
    FOR v_part IN
        SELECT m.grant_id, m.position, m.amount - coalesce((
                   SELECT sum(r.amount)
                     FROM ledger_transfers t
                    -- For each row alone, as in account_due.
                    CROSS JOIN LATERAL (SELECT o.amount FROM credit_movements o
                                         WHERE o.organization_id = v_organization_id AND o.transfer_id = t.id
                                           AND o.grant_id = m.grant_id
                                         LIMIT 1) r
                    WHERE t.organization_id = v_organization_id AND t.refunds_id = p_consumed_id), 0) AS amount
          FROM credit_movements m WHERE m.organization_id = v_organization_id AND m.transfer_id = p_consumed_id
         ORDER BY m.position DESC
    LOOP
        v_return := least(v_left, v_part.amount);
        CONTINUE WHEN v_return <= 0;
        v_ends_at := least(v_ends_at, grant_return(v_organization_id, v_part.grant_id, v_return, false));
        INSERT INTO credit_movements
        VALUES (v_organization_id, v_transfer_id, v_part.grant_id, v_return, v_part.position);
        v_left := v_left - v_return;
    END LOOP;
    IF v_left > 0 THEN
        RAISE EXCEPTION 'transaction % has fewer movements than its amount', p_consumed_id USING ERRCODE = 'TP003';
    END IF;
    v_account := account_due_from(v_account, least(v_account.next_due_at, v_ends_at));
    v_answer := json_build_object(
        'user_id', prefixed_id('usr_', v_account.user_id),
        'organization_id', prefixed_id('org_', v_account.organization_id),
        'transaction', transfer_json(v_post.transfer, v_account.currency));
    RETURN idempotent_answer_keep(v_organization_id, v_principal.user_id, p_key, p_request_digest, v_answer);
END;
$$;
