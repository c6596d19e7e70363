-- Whether as many subscriptions of an account have not ended as it can have: few enough that what all of
-- them cost is one answer.
CREATE OR REPLACE FUNCTION subscriptions_are_too_many(p_account billing_accounts) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT count(*) >= 100 FROM subscriptions
             WHERE organization_id = p_account.organization_id AND account_id = p_account.id AND status <> 'canceled');
END;
$$;
