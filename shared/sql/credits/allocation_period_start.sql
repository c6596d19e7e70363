-- When the period that p_now is in began.
CREATE OR REPLACE FUNCTION allocation_period_start(p_reset text, p_now timestamptz) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE p_reset WHEN 'never' THEN '-infinity'
            ELSE date_trunc(p_reset, p_now AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' END;
