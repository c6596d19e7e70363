-- Takes credits that the token's user has in its organization. The account's row is locked
-- before anything is decided, so that parallel spends queue and the balance cannot go below
-- zero. A refusal for want of credits is remembered under the key too.
CREATE OR REPLACE FUNCTION credits_consume(
    p_digest bytea, p_key text, p_request_digest bytea, p_transfer_id uuid,
    p_currency text, p_amount numeric, p_description text,
    p_service text DEFAULT NULL, p_model text DEFAULT NULL
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_answer json := refusal(v_principal, 'credits:consume');
    v_transfer_id uuid := owned_id(v_principal.organization_id, p_transfer_id);
    v_account credit_accounts;
    v_post record;
BEGIN
    IF v_answer IS NOT NULL THEN
        RETURN v_answer;
    END IF;
    v_account := account_hold_row(v_principal.organization_id, v_principal.user_id, p_currency);
    v_answer := idempotent_answer(v_principal.organization_id, v_principal.user_id, p_key, p_request_digest);
    IF v_answer IS NOT NULL THEN
        RETURN v_answer;
    END IF;
    IF v_account.id IS NULL OR v_account.available < p_amount THEN
        v_answer := json_build_object(
            'refusal', 'insufficient_credits',
            'available', money_json(coalesce(v_account.available, 0), p_currency));
    ELSIF NOT usage_names_fit(v_account.organization_id, v_account.id, p_service, p_model) THEN
        RETURN json_build_object('refusal', 'too_many_usage_names');
    ELSE
        v_post := ledger_post(v_account, v_transfer_id, 'consume', 'available', 'consumed', p_amount,
                              p_description, v_principal.user_id, p_service => p_service, p_model => p_model);
        INSERT INTO credit_movements (organization_id, transfer_id, grant_id, amount, position)
        SELECT v_account.organization_id, v_transfer_id, t.grant_id, t.amount, t.part
          FROM grants_take(v_account.organization_id, v_account.id, p_amount, false) t;
        v_answer := json_build_object('transaction', transfer_json(v_post.transfer, p_currency));
    END IF;
    RETURN idempotent_answer_keep(v_principal.organization_id, v_principal.user_id, p_key, p_request_digest, v_answer);
END;
$$;
