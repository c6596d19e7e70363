-- What decides about a subscription at p_now: its terms, its periods from the current one until one
-- that ends after p_now and the one after that, the dates of its moments on the calendar of its zone,
-- and what was billed of the current period. p_requested is the plan that a change asks for, and
-- p_requested_at a moment that it names.
CREATE OR REPLACE FUNCTION subscription_facts(
    p_subscription subscriptions, p_now timestamptz, p_requested json, p_requested_at timestamptz
) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_period record;
    v_periods json[] := ARRAY[]::json[];
    v_moments timestamptz[];
    v_at timestamptz := p_subscription.period_started_at;
    v_is_last boolean := false;
BEGIN
    FOR n IN 0 .. max_facts_periods() LOOP
        v_period := billing_period_at(
            p_subscription.billing_unit, p_subscription.billing_count, p_subscription.anchor_at,
            p_subscription.anchor_day, p_subscription.time_zone, p_subscription.starts_at, v_at);
        v_periods := v_periods || json_build_object(
            'index', v_period.period_index, 'started_at', rfc3339(v_period.started_at),
            'ends_at', rfc3339(v_period.ends_at), 'whole_started_at', rfc3339(v_period.whole_started_at),
            'whole_from', v_period.whole_from, 'whole_to', v_period.whole_to);
        v_moments := v_moments || v_period.started_at || v_period.ends_at;
        EXIT WHEN v_is_last;
        v_is_last := v_period.ends_at > p_now;
        v_at := v_period.ends_at;
    END LOOP;
    v_moments := v_moments || ARRAY[
        p_now, p_requested_at, p_subscription.starts_at, p_subscription.trial_ends_at, p_subscription.cancel_at,
        p_subscription.paused_at, p_subscription.resumes_at];
    RETURN json_build_object(
        'subscription', plan_subscription_json(p_subscription),
        'now', rfc3339(p_now),
        'periods', v_periods,
        'dates', (SELECT json_object_agg(rfc3339(m), (m AT TIME ZONE p_subscription.time_zone)::date)
                    FROM (SELECT DISTINCT unnest(v_moments) AS m) moments WHERE m IS NOT NULL),
        'billing_period', (SELECT p.billing_period FROM plans p WHERE p.id = p_subscription.plan_id),
        'terms', plan_version_terms(p_subscription.plan_id, p_subscription.plan_version),
        'pending_terms', CASE WHEN p_subscription.pending_change IS NOT NULL THEN (
            SELECT plan_version_terms(p.id, (p_subscription.pending_change ->> 'plan_version')::integer)
              FROM plans p WHERE p.code = p_subscription.pending_change ->> 'plan') END,
        'requested', p_requested,
        'billed', subscription_billed_json(p_subscription));
END;
$$;
