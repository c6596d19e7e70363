-- Gives a subscription the state that the last of some steps has left it in. Whoever calls holds it.
CREATE OR REPLACE FUNCTION subscription_update(p_subscription subscriptions, p_steps jsonb, p_actor_id uuid) RETURNS subscriptions
LANGUAGE plpgsql AS $$
DECLARE
    v_new subscriptions;
BEGIN
    IF p_steps = '[]' THEN
        RETURN p_subscription;
    END IF;
    v_new := subscription_with(p_subscription, p_steps #> '{-1,subscription}');
    UPDATE subscriptions s
       SET plan_id = v_new.plan_id, plan_version = v_new.plan_version, quantity = v_new.quantity,
           price_overrides = v_new.price_overrides, status = v_new.status, period_index = v_new.period_index,
           period_started_at = v_new.period_started_at, period_ends_at = v_new.period_ends_at,
           cancel_at = v_new.cancel_at, cancel_credit = v_new.cancel_credit, paused_at = v_new.paused_at,
           resumes_at = v_new.resumes_at, ended_at = v_new.ended_at, pending_change = v_new.pending_change,
           version = v_new.version, updated_at = v_new.updated_at
     WHERE s.organization_id = v_new.organization_id AND s.id = v_new.id;
    PERFORM subscription_steps_add(p_subscription, p_steps, p_actor_id);
    RETURN v_new;
END;
$$;
