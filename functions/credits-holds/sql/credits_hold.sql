-- Reserves credits that the token's user has in its organization until they are captured,
-- released, or the hold expires.
CREATE OR REPLACE FUNCTION credits_hold(
    p_digest bytea, p_key text, p_request_digest bytea, p_transfer_id uuid, p_hold_id uuid,
    p_currency text, p_amount numeric, p_description text, p_ttl_secs integer,
    p_service text DEFAULT NULL, p_model text DEFAULT NULL
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_answer json := refusal(v_principal, 'credits:consume');
    v_transfer_id uuid := owned_id(v_principal.organization_id, p_transfer_id);
    v_account credit_accounts;
    v_hold credit_holds;
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
        v_answer := json_build_object('refusal', 'insufficient_credits',
                                      'available', money_json(coalesce(v_account.available, 0), p_currency));
    ELSIF (SELECT count(*) FROM (SELECT 1 FROM credit_holds
                                  WHERE organization_id = v_account.organization_id
                                    AND account_id = v_account.id AND state = 'open'
                                  LIMIT max_open_holds()) open_holds) >= max_open_holds() THEN
        RETURN json_build_object('refusal', 'too_many_open_holds');
    ELSIF NOT usage_names_fit(v_account.organization_id, v_account.id, p_service, p_model,
                              utc_day(clock_timestamp())) THEN
        RETURN json_build_object('refusal', 'too_many_usage_names');
    ELSE
        v_post := ledger_post(v_account, v_transfer_id, 'hold', 'available', 'held', p_amount,
                              p_description, v_principal.user_id, p_service => p_service, p_model => p_model);
        INSERT INTO credit_holds (organization_id, id, account_id, amount, state, expires_at, description, service, model)
        VALUES (v_account.organization_id, owned_id(v_account.organization_id, p_hold_id), v_account.id, p_amount, 'open',
                clock_timestamp() + make_interval(secs => p_ttl_secs), p_description,
                p_service, p_model)
        RETURNING * INTO v_hold;
        WITH taken AS (
            SELECT * FROM grants_take(v_account.organization_id, v_account.id, p_amount, true)
        ), parts AS (
            INSERT INTO credit_hold_parts (organization_id, hold_id, grant_id, amount, position)
            SELECT v_hold.organization_id, v_hold.id, t.grant_id, t.amount, t.part FROM taken t
        )
        INSERT INTO credit_movements (organization_id, transfer_id, grant_id, amount, position)
        SELECT v_hold.organization_id, v_transfer_id, t.grant_id, t.amount, t.part FROM taken t;
        UPDATE credit_accounts SET next_due_at = v_hold.expires_at
         WHERE organization_id = v_account.organization_id AND id = v_account.id AND next_due_at > v_hold.expires_at;
        v_answer := json_build_object('hold', credit_hold_json(v_hold, p_currency),
                                      'transaction', transfer_json(v_post.transfer, p_currency));
    END IF;
    RETURN idempotent_answer_keep(v_principal.organization_id, v_principal.user_id, p_key, p_request_digest, v_answer);
END;
$$;
