-- When a period ends that began at that time.
CREATE OR REPLACE FUNCTION usage_alert_period_end(p_period text, p_started_at timestamptz, p_time_zone text) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN local_midnight(
    date_trunc(p_period, p_started_at AT TIME ZONE p_time_zone)
    + CASE p_period WHEN 'month' THEN interval '1 month' ELSE interval '1 day' END, p_time_zone);
