-- Whether something was billed to the account, so that its currency stays what it is: it has or had a
-- subscription.
CREATE OR REPLACE FUNCTION billing_account_is_billed(p_account billing_accounts) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (SELECT 1 FROM subscriptions
                    WHERE organization_id = p_account.organization_id AND account_id = p_account.id);
END;
$$;
