-- The accounts of a person in an organization, or the pools where there is no person, as they were
-- last written: that in one currency, or all without one. There is at most one for each code of
-- ISO 4217.
CREATE OR REPLACE FUNCTION accounts_find(p_organization_id uuid, p_user_id uuid, p_currency text)
RETURNS SETOF credit_accounts
LANGUAGE plpgsql STABLE ROWS 5 AS $$
BEGIN
    IF p_currency IS NOT NULL THEN
        RETURN QUERY SELECT * FROM account_find(p_organization_id, p_user_id, p_currency) a WHERE a.id IS NOT NULL;
    ELSIF p_user_id IS NULL THEN
        -- A statement for each, as in account_find.
        RETURN QUERY
            SELECT * FROM credit_accounts WHERE organization_id = p_organization_id AND user_id IS NULL;
    ELSE
        RETURN QUERY
            SELECT * FROM credit_accounts WHERE organization_id = p_organization_id AND user_id = p_user_id;
    END IF;
END;
$$;
