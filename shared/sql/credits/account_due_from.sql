-- Says when something falls due next of a locked account, after what was given back or settled has
-- changed that, and posts it if that moment has come.
CREATE OR REPLACE FUNCTION account_due_from(p_account credit_accounts, p_next_due_at timestamptz) RETURNS credit_accounts
LANGUAGE plpgsql AS $$
DECLARE
    v_account credit_accounts := p_account;
    v_now timestamptz := clock_timestamp();
BEGIN
    IF p_next_due_at <= v_now THEN
        RETURN account_settle(p_account, v_now);
    END IF;
    IF p_next_due_at <> p_account.next_due_at THEN
        UPDATE credit_accounts SET next_due_at = p_next_due_at
         WHERE organization_id = p_account.organization_id AND id = p_account.id;
        v_account.next_due_at := p_next_due_at;
    END IF;
    RETURN v_account;
END;
$$;
