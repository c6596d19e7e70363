-- The pool of an organization in one currency as it is at this moment, not
-- locked unless something has fallen due; null if there is none.
CREATE OR REPLACE FUNCTION pool_as_of_now(p_organization_id uuid, p_currency text) RETURNS credit_accounts
LANGUAGE plpgsql AS $$
DECLARE
    v_account credit_accounts;
BEGIN
    SELECT * INTO v_account FROM credit_accounts
     WHERE organization_id = p_organization_id AND user_id IS NULL AND currency = p_currency;
    IF v_account.next_due_at <= clock_timestamp() THEN
        v_account := pool_hold_row(p_organization_id, p_currency);
    END IF;
    RETURN v_account;
END;
$$;
