-- The row of a subscription that somebody wants an account to have, before it begins. Times that are
-- null follow from the others: it starts now, to the second.
CREATE OR REPLACE FUNCTION subscription_draft(
    p_account billing_accounts, p_plan_id uuid, p_plan_version integer, p_currency text, p_id uuid,
    p_starts_at timestamptz, p_trial_days integer, p_unit text, p_count integer, p_alignment text, p_anchor_day integer
) RETURNS subscriptions
LANGUAGE plpgsql AS $$
DECLARE
    v_now timestamptz := billing_account_now(p_account);
    v_local timestamp;
    v_period record;
    v_draft subscriptions;
BEGIN
    v_draft.organization_id := p_account.organization_id;
    v_draft.id := owned_id(p_account.organization_id, p_id);
    v_draft.account_id := p_account.id;
    v_draft.plan_id := p_plan_id;
    v_draft.plan_version := p_plan_version;
    v_draft.currency := p_currency;
    v_draft.quantity := 1;
    v_draft.price_overrides := '[]';
    v_draft.billing_unit := p_unit;
    v_draft.billing_count := p_count;
    v_draft.alignment := p_alignment;
    v_draft.time_zone := p_account.time_zone;
    v_draft.proration := 'day';
    v_draft.status := 'scheduled';
    v_draft.starts_at := date_trunc('second', coalesce(p_starts_at, v_now));
    v_local := v_draft.starts_at AT TIME ZONE v_draft.time_zone;
    v_draft.trial_ends_at := CASE WHEN p_trial_days > 0 THEN
        local_moment(v_local + make_interval(days => p_trial_days), v_draft.time_zone) END;
    v_draft.anchor_at := CASE
        WHEN p_alignment = 'anniversary' THEN v_local
        WHEN p_unit IN ('day', 'week') THEN date_trunc(p_unit, v_local)
        -- A quarter begins in January, April, July or October, and half a year in January or July.
        WHEN p_unit = 'month' THEN date_trunc('month', v_local)
        ELSE date_trunc('year', v_local) END;
    v_draft.anchor_day := CASE WHEN p_alignment = 'calendar' THEN 1
                               ELSE coalesce(p_anchor_day, extract(day FROM v_local)::integer) END;
    v_period := billing_period_at(p_unit, p_count, v_draft.anchor_at, v_draft.anchor_day, v_draft.time_zone,
                                  v_draft.starts_at, v_draft.starts_at);
    v_draft.period_index := v_period.period_index;
    v_draft.period_started_at := v_period.started_at;
    v_draft.period_ends_at := v_period.ends_at;
    v_draft.metadata := '{}';
    v_draft.version := 0;
    v_draft.is_test := p_account.is_test;
    v_draft.created_at := v_now;
    v_draft.updated_at := v_now;
    RETURN v_draft;
END;
$$;
