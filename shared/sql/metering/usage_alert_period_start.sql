-- When the day or the month began that a time is in.
CREATE OR REPLACE FUNCTION usage_alert_period_start(p_period text, p_time timestamptz, p_time_zone text) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN local_midnight(date_trunc(p_period, p_time AT TIME ZONE p_time_zone), p_time_zone);
