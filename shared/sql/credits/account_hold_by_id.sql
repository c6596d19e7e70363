-- Locks the account that a row belongs to, posts what has fallen due, and returns it; null for an
-- unknown row.
CREATE OR REPLACE FUNCTION account_hold_by_id(p_organization_id uuid, p_account_id uuid) RETURNS credit_accounts
LANGUAGE plpgsql AS $$
DECLARE
    v_account credit_accounts;
BEGIN
    -- An account never changes its owner.
    PERFORM account_wait(organization_id, user_id, currency) FROM credit_accounts
     WHERE organization_id = p_organization_id AND id = p_account_id;
    SELECT * INTO v_account FROM credit_accounts
     WHERE organization_id = p_organization_id AND id = p_account_id
       FOR NO KEY UPDATE;
    IF v_account.next_due_at <= clock_timestamp() THEN
        v_account := account_settle(v_account, clock_timestamp());
    END IF;
    RETURN v_account;
END;
$$;
