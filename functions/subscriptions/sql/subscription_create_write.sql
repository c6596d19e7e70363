-- Makes the subscription that was decided about, and keeps the answer to the key. p_anchor_at is that
-- of its facts. What the facts were decided by is looked at again: whether the account is open and has
-- this currency, and whether it has had a trial of the plan.
CREATE OR REPLACE FUNCTION subscription_create_write(
    p_digest bytea, p_key text, p_request_digest bytea, p_account_id uuid, p_anchor_at text, p_steps text,
    p_answer text
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal;
    v_refusal json;
    v_steps jsonb := p_steps::jsonb;
    v_state jsonb := v_steps #> '{0,subscription}';
    v_account billing_accounts;
    v_answer json;
    v_new subscriptions;
BEGIN
    -- Held, so that of two with a trial one is refused, and none is made while the account is closed.
    SELECT * INTO v_account FROM billing_accounts WHERE id = p_account_id FOR NO KEY UPDATE;
    v_principal := authenticate(p_digest);
    v_refusal := refusal(v_principal, 'subscriptions:manage');
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    IF v_account.id IS NULL THEN
        RETURN json_build_object('refusal', 'account_not_found');
    END IF;
    v_answer := idempotent_answer(v_account.organization_id, v_principal.user_id, p_key, p_request_digest);
    IF v_answer IS NOT NULL THEN
        RETURN v_answer;
    END IF;
    IF v_account.status = 'closed' THEN
        RETURN json_build_object('refusal', 'account_closed');
    END IF;
    IF subscriptions_are_too_many(v_account) THEN
        RETURN json_build_object('refusal', 'subscription_limit');
    END IF;
    v_new := subscription_with(v_new, v_state);
    v_new.trial_ends_at := (v_state ->> 'trial_ends_at')::timestamptz;
    IF v_new.trial_ends_at IS NOT NULL AND EXISTS (
        SELECT 1 FROM subscriptions s
         WHERE s.organization_id = v_account.organization_id AND s.account_id = v_account.id
           AND s.trial_plan_id = v_new.plan_id) THEN
        RETURN json_build_object('refusal', 'trial_used');
    END IF;
    IF v_account.currency <> v_new.currency THEN
        RETURN json_build_object('refusal', 'account_currency', 'currency', v_account.currency);
    END IF;
    -- What an account owes is in one currency, which the first subscription decides.
    UPDATE billing_accounts
       SET currency = v_new.currency, version = version + 1, updated_at = clock_timestamp()
     WHERE organization_id = v_account.organization_id AND id = v_account.id AND currency IS NULL;
    v_new.organization_id := v_account.organization_id;
    v_new.id := substr(v_state ->> 'id', 5)::uuid;
    INSERT INTO subscriptions (
        organization_id, id, account_id, plan_id, plan_version, currency, quantity, price_overrides, billing_unit,
        billing_count, alignment, anchor_at, anchor_day, time_zone, proration, status, starts_at, trial_ends_at, trial_plan_id,
        period_index, period_started_at, period_ends_at, cancel_at, cancel_credit, ended_at, metadata, version,
        is_test, created_at, updated_at)
    VALUES (
        v_new.organization_id, v_new.id, v_account.id, v_new.plan_id, v_new.plan_version, v_new.currency,
        v_new.quantity, v_new.price_overrides, v_state #>> '{billing,unit}', (v_state #>> '{billing,count}')::integer,
        v_state #>> '{billing,alignment}', p_anchor_at::timestamp, (v_state #>> '{billing,anchor_day}')::integer,
        v_state ->> 'time_zone', v_state ->> 'proration', v_new.status, (v_state ->> 'starts_at')::timestamptz,
        v_new.trial_ends_at, CASE WHEN v_new.trial_ends_at IS NOT NULL THEN v_new.plan_id END, v_new.period_index, v_new.period_started_at, v_new.period_ends_at, v_new.cancel_at,
        v_new.cancel_credit, v_new.ended_at, v_state -> 'metadata', v_new.version, v_account.is_test,
        (v_state ->> 'created_at')::timestamptz, v_new.updated_at)
    RETURNING * INTO v_new;
    v_new := subscription_update(v_new, v_steps, v_principal.user_id);
    RETURN idempotent_answer_keep(v_new.organization_id, v_principal.user_id, p_key, p_request_digest,
                                  p_answer::json);
END;
$$;
