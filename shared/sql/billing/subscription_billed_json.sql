-- What was billed of the current period of a subscription in advance and not given back, by charges.
CREATE OR REPLACE FUNCTION subscription_billed_json(p_subscription subscriptions) RETURNS json
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT coalesce(json_agg(json_build_object(
                   'charge', billed.charge_code, 'description', billed.description,
                   'amount', money_json(billed.amount, p_subscription.currency)) ORDER BY billed.line), '[]'::json)
          FROM (SELECT a.charge_code, max(a.description) AS description, sum(a.amount) AS amount,
                       min(a.version * 1000 + a.line) AS line
                  FROM subscription_adjustments a
                 WHERE a.organization_id = p_subscription.organization_id
                   AND a.subscription_id = p_subscription.id AND a.period_index = p_subscription.period_index
                 GROUP BY a.charge_code HAVING sum(a.amount) <> 0) billed);
END;
$$;
