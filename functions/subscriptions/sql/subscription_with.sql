-- A subscription with the state that a step has left it in.
CREATE OR REPLACE FUNCTION subscription_with(p_subscription subscriptions, p_state jsonb) RETURNS subscriptions
LANGUAGE plpgsql STABLE AS $$
BEGIN
    SELECT p.id, p.currency INTO p_subscription.plan_id, p_subscription.currency
      FROM plans p WHERE p.code = p_state ->> 'plan';
    p_subscription.plan_version := (p_state ->> 'plan_version')::integer;
    p_subscription.quantity := (p_state ->> 'quantity')::integer;
    p_subscription.price_overrides := p_state -> 'price_overrides';
    p_subscription.status := p_state ->> 'status';
    p_subscription.period_index := (p_state #>> '{period,index}')::integer;
    p_subscription.period_started_at := (p_state #>> '{period,started_at}')::timestamptz;
    p_subscription.period_ends_at := (p_state #>> '{period,ends_at}')::timestamptz;
    p_subscription.cancel_at := (p_state ->> 'cancel_at')::timestamptz;
    p_subscription.cancel_credit := p_state ->> 'cancel_credit';
    p_subscription.paused_at := (p_state ->> 'paused_at')::timestamptz;
    p_subscription.resumes_at := (p_state ->> 'resumes_at')::timestamptz;
    p_subscription.ended_at := (p_state ->> 'ended_at')::timestamptz;
    p_subscription.pending_change := nullif(p_state -> 'pending_change', 'null');
    p_subscription.version := (p_state ->> 'version')::bigint;
    p_subscription.updated_at := (p_state ->> 'updated_at')::timestamptz;
    RETURN p_subscription;
END;
$$;
