-- Locks the account of a person in an organization, in one currency, and posts what has
-- fallen due; null if there is none.
CREATE OR REPLACE FUNCTION account_hold_row(p_organization_id uuid, p_user_id uuid, p_currency text) RETURNS credit_accounts
LANGUAGE plpgsql AS $$
DECLARE
    v_account credit_accounts;
BEGIN
    PERFORM account_wait(p_organization_id, p_user_id, p_currency);
    SELECT * INTO v_account FROM credit_accounts
     WHERE organization_id = p_organization_id AND user_id = p_user_id AND currency = p_currency
       FOR NO KEY UPDATE;
    -- The clock, and not the transaction's start, which may be before the last
    -- holder of the row ended.
    IF v_account.next_due_at <= clock_timestamp() THEN
        v_account := account_settle(v_account, clock_timestamp());
    END IF;
    RETURN v_account;
END;
$$;
