-- The pool of an organization in one currency, at p_now: zero before the first grant. What has
-- fallen due is taken into account, posted or not. It stays as it is until p_until: then the next
-- thing falls due, or a period ends in which something was used. All of it is of one moment, so
-- that a spend shows in both or in neither.
CREATE OR REPLACE FUNCTION pool_figures(
    p_organization_id uuid, p_currency text, p_now timestamptz, OUT o_pool json, OUT o_until timestamptz
)
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_pool credit_accounts := account_find(p_organization_id, NULL, p_currency);
BEGIN
    IF v_pool.next_due_at <= p_now THEN
        v_pool := account_as_of(v_pool, p_now);
    END IF;
    WITH allocations AS (
        SELECT sum(greatest(spending_limit - CASE WHEN p_now < period_ends_at THEN used ELSE 0 END, 0)) AS allocated,
               min(period_ends_at) FILTER (WHERE used > 0 AND p_now < period_ends_at) AS next_end
          FROM credit_pool_allocations
         WHERE organization_id = p_organization_id AND currency = p_currency
    )
    SELECT json_build_object(
               'organization_id', prefixed_id('org_', p_organization_id),
               'available', money_json(coalesce(v_pool.available, 0), p_currency),
               'held', money_json(coalesce(v_pool.held, 0), p_currency),
               'total', money_json(coalesce(v_pool.available + v_pool.held, 0), p_currency),
               'pending', money_json(coalesce(v_pool.pending, 0), p_currency),
               'allocated', money_json(coalesce(a.allocated, 0), p_currency),
               'unallocated', money_json(
                   greatest(coalesce(v_pool.available, 0) - coalesce(a.allocated, 0), 0), p_currency)),
           least(v_pool.next_due_at, a.next_end, 'infinity')
      INTO o_pool, o_until
      FROM allocations a;
END;
$$;
