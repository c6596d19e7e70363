-- What decides about what somebody asks of a subscription; with a key that was used before the answer
-- of then. Without a key it is a preview.
CREATE OR REPLACE FUNCTION subscription_begin(
    p_digest bytea, p_key text, p_request_digest bytea, p_id uuid, p_plan text, p_plan_version integer,
    p_requested_at timestamptz
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'subscriptions:manage');
    v_subscription subscriptions;
    v_answer json;
    v_requested json;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    SELECT * INTO v_subscription FROM subscriptions WHERE id = p_id;
    IF NOT FOUND THEN
        RETURN json_build_object('refusal', 'not_found');
    END IF;
    v_answer := idempotent_answer(v_subscription.organization_id, v_principal.user_id, p_key, p_request_digest);
    IF v_answer IS NOT NULL THEN
        RETURN v_answer;
    END IF;
    v_requested := subscription_requested(v_subscription.plan_id, p_plan, p_plan_version);
    IF v_requested ->> 'refusal' IS NOT NULL THEN
        RETURN v_requested;
    END IF;
    RETURN subscription_facts(v_subscription, subscription_now(v_subscription), v_requested, p_requested_at);
END;
$$;
