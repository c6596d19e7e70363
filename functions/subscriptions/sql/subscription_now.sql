-- The time of the account that has a subscription.
CREATE OR REPLACE FUNCTION subscription_now(p_subscription subscriptions) RETURNS timestamptz
LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT billing_account_now(a) FROM billing_accounts a
             WHERE a.organization_id = p_subscription.organization_id AND a.id = p_subscription.account_id);
END;
$$;
