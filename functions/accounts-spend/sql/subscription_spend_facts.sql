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
    v_segment record;
    v_facts json;
    v_segments json[] := ARRAY[]::json[];
    v_from_date date;
    -- A day that two segments have is the first one's.
    v_to_date date := date '-infinity';
BEGIN
    FOR v_segment IN
        WITH versions AS (
            SELECT v.version, v.state,
                   CASE v.action WHEN 'created' THEN least(v.happened_at, p_subscription.starts_at)
                                 ELSE v.happened_at END AS happened_at
              FROM subscription_versions v
             WHERE v.organization_id = p_subscription.organization_id AND v.subscription_id = p_subscription.id
               AND (v.state #>> '{period,index}')::integer = p_subscription.period_index
        ), spans AS (
            SELECT v.version, greatest(v.happened_at, p_subscription.period_started_at) AS started_at,
                   least(lead(v.happened_at) OVER (ORDER BY v.version), v_end) AS ended_at,
                   lead(v.state ->> 'status') OVER (ORDER BY v.version) AS next_status,
                   v.state ->> 'status' AS status,
                   jsonb_build_array(v.state -> 'plan', v.state -> 'plan_version', v.state -> 'price_overrides',
                                     v.state -> 'status') AS terms
              FROM versions v
        ), runs AS (
            SELECT s.*, row_number() OVER (ORDER BY s.version)
                        - row_number() OVER (PARTITION BY s.terms ORDER BY s.version) AS run
              FROM spans s WHERE s.ended_at > s.started_at
        )
        SELECT r.terms, r.status, min(r.started_at) AS started_at, max(r.ended_at) AS ended_at,
               (array_agg(r.next_status ORDER BY r.version DESC))[1] AS next_status
          FROM runs r WHERE r.status IN ('trialing', 'active')
         GROUP BY r.terms, r.status, r.run ORDER BY min(r.version)
    LOOP
        v_from_date := greatest((v_segment.started_at AT TIME ZONE p_subscription.time_zone)::date, v_to_date);
        v_to_date := greatest(
            v_from_date,
            CASE WHEN v_segment.ended_at = p_subscription.period_ends_at THEN v_whole.whole_to
                 -- The day of a pause and of the end is used; that of a change is of the new terms.
                 ELSE (v_segment.ended_at AT TIME ZONE p_subscription.time_zone)::date
                      + CASE WHEN v_segment.ended_at = v_end OR v_segment.next_status = 'paused' THEN 1 ELSE 0 END END);
        v_facts := segment_spend_facts(
            p_account, p_subscription, v_segment.terms, v_segment.started_at, v_segment.ended_at, v_end, p_now,
            p_taken, p_max_cells, p_max_events, p_max_series, json_build_object(
                'is_paid', v_segment.status = 'active',
                'dates', json_build_object('start', v_from_date, 'end', v_to_date),
                'secs', json_build_object('start', unix_secs(v_segment.started_at),
                                          'end', unix_secs(v_segment.ended_at))));
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
