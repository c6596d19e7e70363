-- The facts of a subscription that an account does not have yet, or why it cannot have it.
CREATE OR REPLACE FUNCTION subscription_create_facts(
    p_account billing_accounts, p_id uuid, p_plan text, p_plan_version integer, p_starts_at timestamptz,
    p_trial_days integer, p_unit text, p_count integer, p_alignment text, p_anchor_day integer
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_requested json := subscription_requested(NULL, p_plan, p_plan_version);
    v_plan plans;
    v_draft subscriptions;
    v_facts jsonb;
BEGIN
    IF p_account.status = 'closed' THEN
        RETURN json_build_object('refusal', 'account_closed');
    END IF;
    IF subscriptions_are_too_many(p_account) THEN
        RETURN json_build_object('refusal', 'subscription_limit');
    END IF;
    IF v_requested ->> 'refusal' IS NOT NULL THEN
        RETURN v_requested;
    END IF;
    SELECT * INTO v_plan FROM plans WHERE code = p_plan;
    IF p_account.currency <> v_plan.currency THEN
        RETURN json_build_object('refusal', 'account_currency', 'currency', p_account.currency);
    END IF;
    v_draft := subscription_draft(
        p_account, v_plan.id, (v_requested ->> 'plan_version')::integer, v_plan.currency, p_id, p_starts_at,
        coalesce(p_trial_days, (v_requested #>> '{terms,trial,days}')::integer, 0),
        coalesce(p_unit, v_plan.billing_period), p_count, p_alignment, p_anchor_day);
    IF v_draft.trial_ends_at IS NOT NULL AND EXISTS (
        SELECT 1 FROM subscriptions s
         WHERE s.organization_id = p_account.organization_id AND s.account_id = p_account.id
           AND s.trial_plan_id = v_plan.id) THEN
        RETURN json_build_object('refusal', 'trial_used');
    END IF;
    v_facts := subscription_facts(v_draft, v_draft.created_at, NULL, NULL)::jsonb;
    RETURN (v_facts || jsonb_build_object('anchor_at', v_draft.anchor_at))::json;
END;
$$;
