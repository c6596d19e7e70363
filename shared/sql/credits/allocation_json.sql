-- An allocation as the API shows it, as of p_now.
CREATE OR REPLACE FUNCTION allocation_json(p_allocation credit_pool_allocations, p_now timestamptz) RETURNS json
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT json_build_object(
        'user_id', prefixed_id('usr_', a.user_id),
        'limit', money_json(a.spending_limit, a.currency),
        'used', money_json(a.used, a.currency),
        'remaining', money_json(greatest(a.spending_limit - a.used, 0), a.currency),
        'reset', a.reset,
        'period_started_at', rfc3339(a.period_started_at),
        'period_ends_at', CASE WHEN a.period_ends_at < 'infinity' THEN rfc3339(a.period_ends_at) END)
      FROM allocation_as_of(p_allocation, p_now) a
$$;
