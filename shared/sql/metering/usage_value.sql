-- The value that a meter's sums amount to. An average has 9 digits after the point at
-- any size, halves away from zero: it is divided as whole numbers, because a quotient of
-- two numerics has 16 significant digits, which would leave large ones fewer.
CREATE OR REPLACE FUNCTION usage_value(
    p_aggregation text, p_events bigint, p_total numeric, p_minimum numeric, p_maximum numeric, p_latest numeric
) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE p_aggregation
    WHEN 'count' THEN p_events
    WHEN 'sum' THEN coalesce(p_total, 0)
    WHEN 'min' THEN p_minimum
    WHEN 'max' THEN p_maximum
    WHEN 'average' THEN
        div(p_total * 2000000000 + sign(p_total) * p_events, nullif(p_events, 0)::numeric * 2) * 0.000000001
    WHEN 'latest' THEN p_latest
    ELSE coalesce(p_total, 0)
END;
