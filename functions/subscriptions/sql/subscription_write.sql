-- Writes what was decided about version p_version of a subscription, and keeps the answer to the key.
-- Of another version nothing is written. Then, and without an answer, the facts as they are now are
-- returned, by which the caller decides anew.
CREATE OR REPLACE FUNCTION subscription_write(
    p_digest bytea, p_key text, p_request_digest bytea, p_id uuid, p_plan text, p_plan_version integer,
    p_requested_at timestamptz, p_version bigint, p_steps text, p_answer text
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal;
    v_refusal json;
    v_subscription subscriptions;
    v_answer json;
BEGIN
    -- Of changes at once each waits for the one before it, and says who asks as of then.
    SELECT * INTO v_subscription FROM subscriptions WHERE id = p_id FOR NO KEY UPDATE;
    v_principal := authenticate(p_digest);
    v_refusal := refusal(v_principal, 'subscriptions:manage');
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    IF v_subscription.id IS NULL THEN
        RETURN json_build_object('refusal', 'not_found');
    END IF;
    v_answer := idempotent_answer(v_subscription.organization_id, v_principal.user_id, p_key, p_request_digest);
    IF v_answer IS NOT NULL THEN
        RETURN v_answer;
    END IF;
    IF v_subscription.version = p_version THEN
        v_subscription := subscription_update(v_subscription, p_steps::jsonb, v_principal.user_id);
        IF p_answer IS NOT NULL THEN
            RETURN idempotent_answer_keep(v_subscription.organization_id, v_principal.user_id, p_key,
                                          p_request_digest, p_answer::json);
        END IF;
    END IF;
    RETURN subscription_facts(v_subscription, subscription_now(v_subscription),
                              subscription_requested(v_subscription.plan_id, p_plan, p_plan_version), p_requested_at);
END;
$$;
