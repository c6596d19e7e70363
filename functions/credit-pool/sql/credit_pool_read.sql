-- The pool of the token's organization in one currency: zero before the first
-- grant. What has fallen due is taken into account, posted or not. The answer may be kept until
-- the next thing falls due, or a period in which something was used ends. All of it is of one
-- moment, so that a spend shows in both or in neither.
CREATE OR REPLACE FUNCTION credit_pool_read(p_digest bytea, p_organization_id uuid, p_currency text) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := organization_refusal(v_principal, p_organization_id, 'billing:read');
    v_now timestamptz := statement_timestamp();
    v_pool credit_accounts;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    v_pool := account_find(p_organization_id, NULL, p_currency);
    IF v_pool.next_due_at <= v_now THEN
        v_pool := account_as_of(v_pool, v_now);
    END IF;
    RETURN (
        WITH allocations AS (
            SELECT sum(greatest(spending_limit - CASE WHEN v_now < period_ends_at THEN used ELSE 0 END, 0)) AS allocated,
                   min(period_ends_at) FILTER (WHERE used > 0 AND v_now < period_ends_at) AS next_end
              FROM credit_pool_allocations
             WHERE organization_id = p_organization_id AND currency = p_currency
        )
        SELECT json_build_object(
                   'token_expires_millis', unix_millis(v_principal.expires_at),
                   'pool_expires_millis', unix_millis(least(v_pool.next_due_at, a.next_end, 'infinity')),
                   'pool', json_build_object(
                       'organization_id', prefixed_id('org_', p_organization_id),
                       'available', money_json(coalesce(v_pool.available, 0), p_currency),
                       'held', money_json(coalesce(v_pool.held, 0), p_currency),
                       'total', money_json(coalesce(v_pool.available + v_pool.held, 0), p_currency),
                       'pending', money_json(coalesce(v_pool.pending, 0), p_currency),
                       'allocated', money_json(coalesce(a.allocated, 0), p_currency),
                       'unallocated', money_json(
                           greatest(coalesce(v_pool.available, 0) - coalesce(a.allocated, 0), 0), p_currency)))
          FROM allocations a);
END;
$$;
