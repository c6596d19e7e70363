-- How the figures went, interval by interval.
CREATE OR REPLACE FUNCTION analytics_revenue_trends(
    p_digest bytea, p_currency text, p_unit text, p_since date, p_until date
) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_refusal json := analytics_refusal(p_digest);
    v_now timestamptz := statement_timestamp();
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    IF credits_due_are_too_many(p_currency, v_now) THEN
        RETURN json_build_object('refusal', 'settlement_pending');
    END IF;
    RETURN json_build_object('as_of', rfc3339(v_now),
                             'trends', analytics_trends(p_currency, p_unit, p_since, p_until, v_now));
END;
$$;
