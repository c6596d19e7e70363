-- The period of a time in a zone: from midnight to midnight there.
CREATE OR REPLACE FUNCTION entitlement_period(
    p_period text, p_time_zone text, p_at timestamptz, OUT started_at timestamptz, OUT ends_at timestamptz
)
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_start timestamp;
BEGIN
    IF p_period = 'never' THEN
        started_at := '-infinity';
        ends_at := 'infinity';
        RETURN;
    END IF;
    v_start := date_trunc(p_period, p_at AT TIME ZONE p_time_zone);
    started_at := local_midnight(v_start, p_time_zone);
    ends_at := local_midnight(v_start + ('1 ' || p_period)::interval, p_time_zone);
END;
$$;
