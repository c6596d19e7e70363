-- How many messages of an alert are written in a day to an address that is no verified
-- member's: all ten thresholds of two periods. A batch may reach those of 36 days, and
-- each time zone begins other ones, and nobody else is to be flooded with mail. It is
-- counted without a lock, by the alert's firings: batches side by side may exceed it by
-- what each of them fires.
CREATE OR REPLACE FUNCTION usage_alert_messages_per_day() RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN 20;
