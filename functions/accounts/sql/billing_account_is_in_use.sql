-- Whether something runs on the account: a subscription, that of its organization too if it is the
-- organization's own, or accounts that it pays for.
CREATE OR REPLACE FUNCTION billing_account_is_in_use(p_account billing_accounts) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN billing_account_has_children(p_account)
           OR EXISTS (SELECT 1 FROM subscriptions
                       WHERE organization_id = p_account.organization_id AND account_id = p_account.id
                         AND status <> 'canceled')
           OR (p_account.user_id IS NULL AND EXISTS (
               SELECT 1 FROM organization_subscriptions
                WHERE organization_id = p_account.organization_id AND status <> 'canceled'));
END;
$$;
