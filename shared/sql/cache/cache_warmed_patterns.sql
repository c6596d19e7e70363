-- Of which patterns values are read before they are asked for. What is predicted was looked for at
-- this hour of this day of the week, in one of the last four weeks.
CREATE OR REPLACE FUNCTION cache_warmed_patterns(p_mode text) RETURNS text[]
LANGUAGE sql STABLE
RETURN CASE p_mode
    WHEN 'plans' THEN ARRAY['subscription:{organization}']
    WHEN 'stats' THEN ARRAY['credit_pool:{organization}:{currency}']
    WHEN 'predicted' THEN ARRAY(
        SELECT DISTINCT label FROM operation_counts
         WHERE name IN ('cache_hits', 'cache_misses')
           AND label IN ('subscription:{organization}', 'credit_pool:{organization}:{currency}')
           AND hour IN (SELECT date_trunc('hour', now(), 'UTC') - make_interval(weeks => n)
                          FROM generate_series(1, 4) AS n))
    ELSE ARRAY['subscription:{organization}', 'credit_pool:{organization}:{currency}'] END;
