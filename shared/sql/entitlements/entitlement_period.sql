-- The period of a time in a zone: from midnight to midnight there.
CREATE OR REPLACE FUNCTION entitlement_period(
    p_period text, p_time_zone text, p_at timestamptz, OUT started_at timestamptz, OUT ends_at timestamptz
)
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_length interval;
    v_start timestamp;
BEGIN
    IF p_period = 'never' THEN
        started_at := '-infinity';
        ends_at := 'infinity';
        RETURN;
    END IF;
    v_length := ('1 ' || p_period)::interval;
    v_start := date_trunc(p_period, p_at AT TIME ZONE p_time_zone);
    IF v_start AT TIME ZONE p_time_zone > p_at THEN
        -- Where clocks are put back to midnight, the day begins at the second one.
        v_start := v_start - v_length;
    END IF;
    started_at := v_start AT TIME ZONE p_time_zone;
    ends_at := (v_start + v_length) AT TIME ZONE p_time_zone;
END;
$$;
