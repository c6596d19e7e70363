-- An account as it is at p_now, whether or not what has fallen due by then is posted. Where
-- nothing has, and for no account, it is the row as it was read.
CREATE OR REPLACE FUNCTION account_as_of(p_account credit_accounts, p_now timestamptz) RETURNS credit_accounts
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_due credit_due[];
BEGIN
    IF p_account.next_due_at > p_now OR p_account.id IS NULL THEN
        RETURN p_account;
    END IF;
    v_due := ARRAY(SELECT d FROM account_due(p_account, p_now) d);
    RETURN account_after(p_account, p_now, v_due, ARRAY(SELECT g FROM grants_due(p_account, v_due) g));
END;
$$;
