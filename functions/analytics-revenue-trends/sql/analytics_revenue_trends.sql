-- How the figures went, interval by interval.
CREATE OR REPLACE PROCEDURE analytics_revenue_trends(
    p_digest bytea, p_currency text, p_unit text, p_since date, p_until date, INOUT p_answer text
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
    v_now := clock_timestamp();
    p_answer := CASE WHEN credits_due_are_too_many(p_currency, v_now)
        THEN json_build_object('refusal', 'settlement_pending')
        ELSE json_build_object('as_of', rfc3339(v_now),
                               'trends', analytics_trends(p_currency, p_unit, p_since, p_until, v_now)) END;
END;
$$;
