-- A subscription as the API shows it.
CREATE OR REPLACE FUNCTION subscription_json(p_subscription organization_subscriptions) RETURNS json
LANGUAGE sql STABLE PARALLEL SAFE
RETURN json_build_object(
    'organization_id', prefixed_id('org_', (p_subscription).organization_id),
    'plan', (p_subscription).plan, 'seats', (p_subscription).seats, 'status', (p_subscription).status,
    'billing_period', (p_subscription).billing_period,
    'seat_price', money_json((p_subscription).seat_price, (p_subscription).currency),
    'mrr', money_json((p_subscription).mrr, (p_subscription).currency),
    'period_started_at', rfc3339((p_subscription).period_started_at),
    'period_ends_at', rfc3339((p_subscription).period_ends_at),
    'version', (p_subscription).version,
    'created_at', rfc3339((p_subscription).created_at), 'updated_at', rfc3339((p_subscription).updated_at));
