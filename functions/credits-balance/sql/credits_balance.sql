-- The balance of the token's user in its organization, in one currency; zero before the first
-- grant. It is exact to the moment, and may be kept until the next thing falls due.
CREATE OR REPLACE FUNCTION credits_balance(p_digest bytea, p_currency text) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'credits:read');
    v_account credit_accounts;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    v_account := account_find(v_principal.organization_id, v_principal.user_id, p_currency);
    IF v_account.next_due_at <= statement_timestamp() THEN
        v_account := account_as_of(v_account, statement_timestamp());
    END IF;
    RETURN json_build_object(
        'token_expires_millis', unix_millis(least(v_principal.expires_at, v_account.next_due_at)),
        'balance', json_build_object(
            'user_id', prefixed_id('usr_', v_principal.user_id),
            'available', money_json(coalesce(v_account.available, 0), p_currency),
            'held', money_json(coalesce(v_account.held, 0), p_currency),
            'total', money_json(coalesce(v_account.available + v_account.held, 0), p_currency),
            'pending', money_json(coalesce(v_account.pending, 0), p_currency)));
END;
$$;
