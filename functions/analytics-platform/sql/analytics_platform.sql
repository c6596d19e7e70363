-- The figures of the platform in one currency. A procedure, because it settles
-- accounts in transactions of their own.
CREATE OR REPLACE PROCEDURE analytics_platform(
    p_digest bytea, p_currency text, p_since date, p_until date, p_max_plans integer, INOUT p_answer text
)
LANGUAGE plpgsql AS $$
DECLARE
    v_now timestamptz;
BEGIN
    p_answer := analytics_refusal(p_digest);
    IF p_answer IS NOT NULL THEN
        RETURN;
    END IF;
    CALL credits_settle(p_currency);
    -- Before the statements below take their views, so that nothing falls due
    -- in between that one of them would take for spendable.
    v_now := clock_timestamp();
    p_answer := CASE WHEN credits_due_are_too_many(p_currency, v_now)
        THEN jsonb_build_object('refusal', 'settlement_pending')
        ELSE jsonb_build_object('currency', p_currency, 'since', p_since, 'until', p_until, 'as_of', rfc3339(v_now))
             || analytics_credits(p_currency, p_since, p_until, v_now)::jsonb
             || analytics_subscriptions(p_currency, p_since, p_until, p_max_plans)::jsonb END;
END;
$$;
