-- When it ends, exclusive.
CREATE OR REPLACE FUNCTION allocation_period_end(p_reset text, p_now timestamptz) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE p_reset WHEN 'never' THEN 'infinity'
            ELSE (date_trunc(p_reset, p_now AT TIME ZONE 'UTC')
                  + CASE p_reset WHEN 'day' THEN interval '1 day' WHEN 'week' THEN interval '7 days'
                                 ELSE interval '1 month' END) AT TIME ZONE 'UTC' END;
