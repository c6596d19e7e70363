-- The figures of the platform in one currency.
CREATE OR REPLACE FUNCTION analytics_platform(
    p_digest bytea, p_currency text, p_since date, p_until date, p_max_plans integer
) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_refusal json := analytics_refusal(p_digest);
    v_now timestamptz := statement_timestamp();
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    IF credits_due_are_too_many(p_currency, v_now) THEN
        RETURN jsonb_build_object('refusal', 'settlement_pending');
    END IF;
    RETURN jsonb_build_object('currency', p_currency, 'since', p_since, 'until', p_until, 'as_of', rfc3339(v_now))
           || analytics_credits(p_currency, p_since, p_until, v_now)::jsonb
           || analytics_subscriptions(p_currency, p_since, p_until, p_max_plans)::jsonb;
END;
$$;
