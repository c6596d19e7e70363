-- Locks an organization's pool in one currency and posts what has fallen due;
-- null if there is none.
CREATE OR REPLACE FUNCTION pool_hold_row(p_organization_id uuid, p_currency text) RETURNS credit_accounts
LANGUAGE plpgsql AS $$
DECLARE
    v_account credit_accounts;
BEGIN
    PERFORM account_wait(p_organization_id, NULL, p_currency);
    SELECT * INTO v_account FROM credit_accounts
     WHERE organization_id = p_organization_id AND user_id IS NULL AND currency = p_currency
       FOR NO KEY UPDATE;
    IF v_account.next_due_at <= clock_timestamp() THEN
        v_account := account_settle(v_account, clock_timestamp());
    END IF;
    RETURN v_account;
END;
$$;
