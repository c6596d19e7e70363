-- A subscription as the API shows it.
CREATE OR REPLACE FUNCTION plan_subscription_json(p_subscription subscriptions) RETURNS json
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN json_build_object(
        'id', prefixed_id('sub_', p_subscription.id),
        'organization_id', prefixed_id('org_', p_subscription.organization_id),
        'account_id', prefixed_id('acc_', p_subscription.account_id),
        'plan', (SELECT p.code FROM plans p WHERE p.id = p_subscription.plan_id),
        'plan_version', p_subscription.plan_version,
        'currency', p_subscription.currency,
        'quantity', p_subscription.quantity,
        'price_overrides', p_subscription.price_overrides,
        'billing', json_build_object(
            'unit', p_subscription.billing_unit, 'count', p_subscription.billing_count,
            'alignment', p_subscription.alignment, 'anchor_day', p_subscription.anchor_day),
        'time_zone', p_subscription.time_zone,
        'proration', p_subscription.proration,
        'status', p_subscription.status,
        'starts_at', rfc3339(p_subscription.starts_at),
        'trial_ends_at', rfc3339(p_subscription.trial_ends_at),
        'period', json_build_object(
            'index', p_subscription.period_index, 'started_at', rfc3339(p_subscription.period_started_at),
            'ends_at', rfc3339(p_subscription.period_ends_at)),
        'cancel_at', rfc3339(p_subscription.cancel_at),
        'cancel_credit', p_subscription.cancel_credit,
        'paused_at', rfc3339(p_subscription.paused_at),
        'resumes_at', rfc3339(p_subscription.resumes_at),
        'ended_at', rfc3339(p_subscription.ended_at),
        'pending_change', p_subscription.pending_change,
        'metadata', p_subscription.metadata,
        'version', p_subscription.version,
        'created_at', rfc3339(p_subscription.created_at),
        'updated_at', rfc3339(p_subscription.updated_at));
END;
$$;
