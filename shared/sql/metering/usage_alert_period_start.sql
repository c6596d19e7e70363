-- When the day or the month began that a time is in. A day whose midnight clocks skip
-- begins where they go on; one whose midnight comes twice begins at the second, as in
-- a summary.
CREATE OR REPLACE FUNCTION usage_alert_period_start(p_period text, p_time timestamptz, p_time_zone text) RETURNS timestamptz
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    v_local timestamp := date_trunc(p_period, p_time AT TIME ZONE p_time_zone);
BEGIN
    IF v_local AT TIME ZONE p_time_zone > p_time THEN
        v_local := v_local - CASE p_period WHEN 'month' THEN interval '1 month' ELSE interval '1 day' END;
    END IF;
    RETURN v_local AT TIME ZONE p_time_zone;
END;
$$;
