-- The account of a person in an organization, or the pool where there is no person, in one
-- currency, as it was last written; null if there is none.
CREATE OR REPLACE FUNCTION account_find(p_organization_id uuid, p_user_id uuid, p_currency text) RETURNS credit_accounts
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_account credit_accounts;
BEGIN
    -- A statement for each, because no index serves IS NOT DISTINCT FROM.
    IF p_user_id IS NULL THEN
        SELECT * INTO v_account FROM credit_accounts
         WHERE organization_id = p_organization_id AND user_id IS NULL AND currency = p_currency;
    ELSE
        SELECT * INTO v_account FROM credit_accounts
         WHERE organization_id = p_organization_id AND user_id = p_user_id AND currency = p_currency;
    END IF;
    RETURN v_account;
END;
$$;
