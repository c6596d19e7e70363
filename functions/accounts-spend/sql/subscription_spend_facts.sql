-- What the spend of a subscription in its current period is computed from: what was billed in advance,
-- and the segments of the period in which the terms were the same, each with what was used in it. While
-- it is paused, and before it starts, nothing is used.
--
-- Usage is counted by quarters of an hour of UTC, as meters keep it, and a quarter is of the segment
-- that it begins in: so segments and periods share it out without gap or overlap. p_taken are the
-- metrics whose usage other subscriptions of the account pay for.
CREATE OR REPLACE FUNCTION subscription_spend_facts(
    p_account billing_accounts, p_subscription subscriptions, p_now timestamptz, p_taken text[],
    p_max_cells integer, p_max_events integer, p_max_series integer
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_whole record := billing_period_at(
        p_subscription.billing_unit, p_subscription.billing_count, p_subscription.anchor_at,
        p_subscription.anchor_day, p_subscription.time_zone, p_subscription.starts_at,
        p_subscription.period_started_at);
    v_end timestamptz := least(p_subscription.period_ends_at, p_subscription.cancel_at);
    v_version record;
    v_at timestamptz;
    -- When other terms began, and those terms: plan, version, price overrides and status.
    v_starts timestamptz[] := ARRAY[]::timestamptz[];
    v_terms jsonb[] := ARRAY[]::jsonb[];
    v_last integer;
    v_ended_at timestamptz;
    v_facts json;
    v_segments json[] := ARRAY[]::json[];
    v_from_date date;
    -- A day that two segments have is the first one's.
    v_to_date date := date '-infinity';
BEGIN
    FOR v_version IN
        SELECT v.action, v.happened_at,
               jsonb_build_array(v.state -> 'plan', v.state -> 'plan_version', v.state -> 'price_overrides',
                                 v.state -> 'status') AS terms
          FROM subscription_versions v
         WHERE v.organization_id = p_subscription.organization_id AND v.subscription_id = p_subscription.id
           -- Those of a period follow each other, so that years before it are not read.
           AND v.version > coalesce((
               SELECT b.version FROM subscription_versions b
                WHERE b.organization_id = p_subscription.organization_id AND b.subscription_id = p_subscription.id
                  AND (b.state #>> '{period,index}')::integer < p_subscription.period_index
                ORDER BY b.version DESC LIMIT 1), 0)
         ORDER BY v.version
    LOOP
        -- One that was made after it started has its first terms from the start on.
        v_at := greatest(p_subscription.period_started_at,
                         CASE v_version.action WHEN 'created' THEN least(v_version.happened_at, p_subscription.starts_at)
                                               ELSE v_version.happened_at END);
        EXIT WHEN v_at >= v_end;
        v_last := cardinality(v_starts);
        -- Terms that lasted for no time are none.
        IF v_starts[v_last] >= v_at THEN
            v_last := v_last - 1;
            v_starts := v_starts[:v_last];
            v_terms := v_terms[:v_last];
        END IF;
        IF v_terms[v_last] IS DISTINCT FROM v_version.terms THEN
            v_starts := array_append(v_starts, v_at);
            v_terms := array_append(v_terms, v_version.terms);
        END IF;
    END LOOP;
    FOR n IN 1 .. cardinality(v_starts) LOOP
        CONTINUE WHEN v_terms[n] ->> 3 NOT IN ('trialing', 'active');
        v_ended_at := coalesce(v_starts[n + 1], v_end);
        v_from_date := greatest((v_starts[n] AT TIME ZONE p_subscription.time_zone)::date, v_to_date);
        v_to_date := greatest(
            v_from_date,
            CASE WHEN v_ended_at = p_subscription.period_ends_at THEN v_whole.whole_to
                 -- The day of a pause and of the end is used; that of a change is of the new terms.
                 ELSE (v_ended_at AT TIME ZONE p_subscription.time_zone)::date
                      + CASE WHEN v_ended_at = v_end OR v_terms[n + 1] ->> 3 = 'paused' THEN 1 ELSE 0 END END);
        v_facts := segment_spend_facts(
            p_account, p_subscription, v_terms[n], v_starts[n], v_ended_at, v_end, p_now, p_taken, p_max_cells,
            p_max_events, p_max_series, json_build_object(
                'is_paid', v_terms[n] ->> 3 = 'active',
                'dates', json_build_object('start', v_from_date, 'end', v_to_date),
                'secs', json_build_object('start', unix_secs(v_starts[n]), 'end', unix_secs(v_ended_at))));
        IF v_facts IS NOT NULL THEN
            v_segments := v_segments || v_facts;
        END IF;
    END LOOP;
    RETURN json_build_object(
        'subscription_id', prefixed_id('sub_', p_subscription.id),
        'plan', (SELECT p.code FROM plans p WHERE p.id = p_subscription.plan_id),
        'plan_version', p_subscription.plan_version,
        'currency', p_subscription.currency,
        'period_started_at', rfc3339(p_subscription.period_started_at),
        'period_ends_at', rfc3339(p_subscription.period_ends_at),
        'proration', p_subscription.proration, 'anchor_day', p_subscription.anchor_day,
        -- What is not divided costs the same in a first period that is shorter.
        'whole', json_build_object(
            'start', CASE p_subscription.proration WHEN 'none'
                     THEN (p_subscription.period_started_at AT TIME ZONE p_subscription.time_zone)::date
                     ELSE v_whole.whole_from END,
            'end', v_whole.whole_to),
        'whole_secs', json_build_object('start', unix_secs(v_whole.whole_started_at),
                                        'end', unix_secs(p_subscription.period_ends_at)),
        'billed', subscription_billed_json(p_subscription),
        'segments', array_to_json(v_segments));
END;
$$;
