-- What the spend of a subscription in its current period is computed from.
--
-- Usage is counted by quarters of an hour of UTC, as meters keep it, and a quarter is of the period
-- that it begins in: so the periods share it out without gap or overlap, whenever one begins. What a
-- trial covers is not counted at all.
CREATE OR REPLACE FUNCTION subscription_spend_facts(
    p_account billing_accounts, p_subscription subscriptions, p_now timestamptz, p_max_cells integer,
    p_max_events integer, p_max_series integer
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_terms jsonb := plan_version_terms(p_subscription.plan_id, p_subscription.plan_version);
    v_whole record := billing_period_at(
        p_subscription.billing_unit, p_subscription.billing_count, p_subscription.anchor_at,
        p_subscription.anchor_day, p_subscription.time_zone, p_subscription.starts_at,
        p_subscription.period_started_at);
    v_trial_ends_at timestamptz := coalesce(p_subscription.trial_ends_at, '-infinity');
    v_covers_usage boolean := coalesce(v_terms #>> '{trial,covers}', 'every_charge') = 'every_charge';
    v_paid_at timestamptz := greatest(p_subscription.period_started_at, v_trial_ends_at);
    v_used_at timestamptz := CASE WHEN v_covers_usage THEN v_paid_at ELSE p_subscription.period_started_at END;
    v_now timestamptz := least(p_now, p_subscription.period_ends_at);
    v_since timestamptz := least(quarter_after(v_used_at), quarter_after(p_subscription.period_ends_at));
    v_until timestamptz := greatest(
        v_since, least(date_bin('15 minutes', p_now, 'epoch') + interval '15 minutes',
                       quarter_after(p_subscription.period_ends_at)));
    -- How many times as much there will be.
    v_factor numeric := extract(epoch FROM p_subscription.period_ends_at - v_used_at)
                        / nullif(greatest(extract(epoch FROM v_now - v_used_at), 0), 0);
    v_charge jsonb;
    v_used json[] := ARRAY[]::json[];
BEGIN
    FOR v_charge IN
        SELECT c.value FROM jsonb_array_elements(v_terms -> 'charges') c
         WHERE c.value ->> 'metric' IS NOT NULL AND coalesce(c.value ->> 'billing', 'arrears') = 'arrears'
    LOOP
        v_used := v_used || (
            jsonb_build_object('charge', v_charge ->> 'code')
            || CASE WHEN p_account.user_id IS NULL
                    THEN charge_usage(p_subscription, v_charge, v_since, v_until, v_factor, p_max_cells,
                                      p_max_events, p_max_series)
                    ELSE '{"unrated": "no_meter"}' END)::json;
    END LOOP;
    RETURN json_build_object(
        'subscription_id', prefixed_id('sub_', p_subscription.id),
        'plan', (SELECT p.code FROM plans p WHERE p.id = p_subscription.plan_id),
        'plan_version', p_subscription.plan_version,
        'period_started_at', rfc3339(p_subscription.period_started_at),
        'period_ends_at', rfc3339(p_subscription.period_ends_at),
        'usage_from', rfc3339(v_since), 'usage_until', rfc3339(v_until),
        'terms', v_terms, 'price_overrides', p_subscription.price_overrides,
        'proration', p_subscription.proration, 'anchor_day', p_subscription.anchor_day,
        -- What is not divided costs the same in a first period that is shorter.
        'whole', json_build_object(
            'start', CASE p_subscription.proration WHEN 'none'
                     THEN (p_subscription.period_started_at AT TIME ZONE p_subscription.time_zone)::date
                     ELSE v_whole.whole_from END,
            'end', v_whole.whole_to),
        'whole_secs', json_build_object('start', unix_secs(v_whole.whole_started_at),
                                        'end', unix_secs(p_subscription.period_ends_at)),
        'paid_from', CASE WHEN p_subscription.status <> 'paused' THEN json_build_object(
            'date', (v_paid_at AT TIME ZONE p_subscription.time_zone)::date, 'secs', unix_secs(v_paid_at)) END,
        'billed', subscription_billed_json(p_subscription),
        'used', array_to_json(v_used));
END;
$$;
