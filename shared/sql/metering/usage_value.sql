-- The value that a meter's sums amount to.
CREATE OR REPLACE FUNCTION usage_value(
    p_aggregation text, p_events bigint, p_total numeric, p_minimum numeric, p_maximum numeric, p_latest numeric
) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE p_aggregation
    WHEN 'count' THEN p_events
    WHEN 'sum' THEN coalesce(p_total, 0)
    WHEN 'min' THEN p_minimum
    WHEN 'max' THEN p_maximum
    WHEN 'average' THEN round(p_total / nullif(p_events, 0), 9)
    WHEN 'latest' THEN p_latest
    ELSE coalesce(p_total, 0)
END;
