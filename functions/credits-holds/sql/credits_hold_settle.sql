-- Settles a hold at the true cost: p_amount is spent and the rest of the hold
-- released; null releases it whole. What the cost exceeds the hold by is spent
-- like any other credits, and if they do not suffice nothing is captured and the
-- hold stays open.
CREATE OR REPLACE FUNCTION credits_hold_settle(
    p_digest bytea, p_key text, p_request_digest bytea, p_hold_id uuid, p_amount numeric, p_currency text,
    p_capture_id uuid, p_release_id uuid, p_excess_id uuid
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_answer json := refusal(v_principal, 'credits:consume');
    v_organization_id uuid := v_principal.organization_id;
    v_capture_id uuid := owned_id(v_organization_id, p_capture_id);
    v_release_id uuid := owned_id(v_organization_id, p_release_id);
    v_excess_id uuid := owned_id(v_organization_id, p_excess_id);
    v_amount numeric := coalesce(p_amount, 0);
    v_account credit_accounts;
    v_hold credit_holds;
    v_post record;
    v_part record;
    v_from_hold numeric;
    v_excess numeric;
    v_left numeric;
    v_take numeric;
    v_ends_at timestamptz := timestamptz 'infinity';
    v_next_due_at timestamptz;
    v_transactions json[] := '{}'::json[];
BEGIN
    IF v_answer IS NOT NULL THEN
        RETURN v_answer;
    END IF;
    -- Another user's hold is not found, nor one in another organization.
    v_account := account_hold_by_id(v_organization_id, (
        SELECT h.account_id
          FROM credit_holds h JOIN credit_accounts a ON (a.organization_id, a.id) = (h.organization_id, h.account_id)
         WHERE h.organization_id = v_organization_id AND h.id = p_hold_id AND a.user_id = v_principal.user_id));
    v_answer := idempotent_answer(v_organization_id, v_principal.user_id, p_key, p_request_digest);
    IF v_answer IS NOT NULL THEN
        RETURN v_answer;
    END IF;
    IF v_account.id IS NULL THEN
        RETURN json_build_object('refusal', 'not_found');
    END IF;
    IF p_currency <> v_account.currency THEN
        RETURN json_build_object('refusal', 'currency_mismatch', 'currency', v_account.currency);
    END IF;
    SELECT * INTO v_hold FROM credit_holds WHERE organization_id = v_organization_id AND id = p_hold_id;
    IF v_hold.state <> 'open' THEN
        RETURN json_build_object('refusal', 'hold_not_open', 'state', v_hold.state);
    END IF;
    v_from_hold := least(v_amount, v_hold.amount);
    v_excess := v_amount - v_from_hold;
    IF v_excess > v_account.available THEN
        v_answer := json_build_object('refusal', 'insufficient_credits',
                                      'available', money_json(v_account.available, v_account.currency));
        RETURN idempotent_answer_keep(v_organization_id, v_principal.user_id, p_key, p_request_digest, v_answer);
    END IF;
    IF v_from_hold > 0 THEN
        v_post := ledger_post(v_account, v_capture_id, 'capture', 'held', 'consumed', v_from_hold,
                              v_hold.description, v_principal.user_id,
                              p_service => v_hold.service, p_model => v_hold.model);
        v_account := v_post.account;
        v_transactions := v_transactions || transfer_json(v_post.transfer, v_account.currency);
        v_left := v_from_hold;
        FOR v_part IN
            SELECT * FROM credit_hold_parts
             WHERE organization_id = v_organization_id AND hold_id = p_hold_id
             ORDER BY position
        LOOP
            EXIT WHEN v_left <= 0;
            v_take := least(v_left, v_part.amount);
            UPDATE credit_grants SET held = held - v_take
             WHERE organization_id = v_organization_id AND id = v_part.grant_id;
            INSERT INTO credit_movements
            VALUES (v_organization_id, v_capture_id, v_part.grant_id, v_take, v_part.position);
            v_left := v_left - v_take;
        END LOOP;
    END IF;
    IF v_from_hold < v_hold.amount THEN
        v_post := ledger_post(v_account, v_release_id, 'release', 'held', 'available', v_hold.amount - v_from_hold,
                              v_hold.description, v_principal.user_id,
                              p_service => v_hold.service, p_model => v_hold.model);
        v_account := v_post.account;
        v_transactions := v_transactions || transfer_json(v_post.transfer, v_account.currency);
        v_ends_at := hold_parts_return(v_organization_id, p_hold_id, v_release_id, v_hold.amount - v_from_hold);
    END IF;
    IF v_excess > 0 THEN
        v_post := ledger_post(v_account, v_excess_id, 'consume', 'available', 'consumed', v_excess,
                              v_hold.description, v_principal.user_id,
                              p_service => v_hold.service, p_model => v_hold.model);
        v_account := v_post.account;
        v_transactions := v_transactions || transfer_json(v_post.transfer, v_account.currency);
        INSERT INTO credit_movements (organization_id, transfer_id, grant_id, amount, position)
        SELECT v_organization_id, v_excess_id, t.grant_id, t.amount, t.part
          FROM grants_take(v_organization_id, v_account.id, v_excess, false) t;
    END IF;
    UPDATE credit_holds
       SET state = CASE WHEN v_amount > 0 THEN 'captured' ELSE 'released' END,
           captured = v_amount, settled_at = clock_timestamp()
     WHERE organization_id = v_organization_id AND id = p_hold_id RETURNING * INTO v_hold;
    -- The hold lapses no more. What was released into a grant ends with it: now, if it has ended.
    v_next_due_at := v_account.next_due_at;
    IF v_next_due_at = v_hold.expires_at THEN
        v_next_due_at := account_next_due_at(v_account, '-infinity');
    END IF;
    v_account := account_due_from(v_account, least(v_next_due_at, v_ends_at));
    v_answer := json_build_object('hold', credit_hold_json(v_hold, v_account.currency),
                                  'transactions', array_to_json(v_transactions));
    RETURN idempotent_answer_keep(v_organization_id, v_principal.user_id, p_key, p_request_digest, v_answer);
END;
$$;
