-- What the spend of a segment of a period is computed from, in addition to p_facts; null of a trial that
-- covers every charge. p_terms are its plan, version, price overrides and status, as versions of the
-- subscription have them. The segment that goes on until p_end is the open one, whose usage is projected.
CREATE OR REPLACE FUNCTION segment_spend_facts(
    p_account billing_accounts, p_subscription subscriptions, p_terms jsonb, p_started_at timestamptz,
    p_ended_at timestamptz, p_end timestamptz, p_now timestamptz, p_taken text[], p_max_cells integer,
    p_max_events integer, p_max_series integer, p_facts json
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_terms jsonb := (SELECT plan_version_terms(p.id, (p_terms ->> 1)::integer) FROM plans p WHERE p.code = p_terms ->> 0);
    v_is_open boolean := p_ended_at = p_end;
    v_since timestamptz := quarter_after(p_started_at);
    v_until timestamptz := least(date_bin('15 minutes', p_now, 'epoch') + interval '15 minutes',
                                 quarter_after(p_ended_at));
    v_counted_from timestamptz := greatest(p_started_at, v_since);
    -- How many times as much there will be.
    v_factor numeric := extract(epoch FROM p_end - v_counted_from)
                        / nullif(greatest(extract(epoch FROM least(p_now, p_end) - v_counted_from), 0), 0);
    v_charge jsonb;
    v_used json[] := ARRAY[]::json[];
BEGIN
    IF p_terms ->> 3 = 'trialing' AND v_terms #>> '{trial,covers}' IS DISTINCT FROM 'advance_charges' THEN
        RETURN NULL;
    END IF;
    FOR v_charge IN
        SELECT c.value FROM jsonb_array_elements(v_terms -> 'charges') c
         WHERE c.value ->> 'metric' IS NOT NULL AND coalesce(c.value ->> 'billing', 'arrears') = 'arrears'
    LOOP
        v_used := v_used || (
            jsonb_build_object('charge', v_charge ->> 'code')
            || CASE WHEN p_account.user_id IS NOT NULL THEN jsonb_build_object('unrated', 'no_meter')
                    WHEN v_charge ->> 'metric' = ANY (p_taken) THEN jsonb_build_object('unrated', 'counted_elsewhere')
                    -- Half of the statement's time is left for what remains.
                    WHEN clock_timestamp() > statement_timestamp() + interval '0.7 s'
                    THEN jsonb_build_object('unrated', 'too_much')
                    ELSE charge_usage(p_subscription, v_charge, v_since, v_until, v_factor, p_max_cells, p_max_events,
                                      p_max_series) END)::json;
    END LOOP;
    RETURN (p_facts::jsonb || jsonb_build_object(
        'is_open', v_is_open, 'terms', v_terms, 'price_overrides', p_terms -> 2,
        'usage_from', rfc3339(v_since), 'usage_until', rfc3339(greatest(v_since, v_until)),
        'used', to_jsonb(v_used)))::json;
END;
$$;
