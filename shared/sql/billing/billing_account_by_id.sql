-- An account of whichever organization, for the platform; null if there is none.
CREATE OR REPLACE FUNCTION billing_account_by_id(p_id uuid) RETURNS billing_accounts
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_account billing_accounts;
BEGIN
    SELECT * INTO v_account FROM billing_accounts WHERE id = p_id;
    RETURN v_account;
END;
$$;
