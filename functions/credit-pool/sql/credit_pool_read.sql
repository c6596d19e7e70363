-- The pool of the token's organization in one currency: zero before the first
-- grant. What has fallen due is posted first. The answer may be kept until the
-- next thing falls due, or a period in which something was used ends.
CREATE OR REPLACE FUNCTION credit_pool_read(p_digest bytea, p_organization_id uuid, p_currency text) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := organization_refusal(v_principal, p_organization_id, 'billing:read');
    v_now timestamptz;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    PERFORM pool_as_of_now(p_organization_id, p_currency);
    v_now := clock_timestamp();
    -- One statement, so that a spend shows in both or in neither.
    RETURN (
        WITH pool AS (
            SELECT available, held, pending, next_due_at FROM credit_accounts
             WHERE organization_id = p_organization_id AND user_id IS NULL AND currency = p_currency
        ), allocations AS (
            SELECT sum(greatest(spending_limit - CASE WHEN v_now < period_ends_at THEN used ELSE 0 END, 0)) AS allocated,
                   min(period_ends_at) FILTER (WHERE used > 0 AND v_now < period_ends_at) AS next_end
              FROM credit_pool_allocations
             WHERE organization_id = p_organization_id AND currency = p_currency
        )
        SELECT json_build_object(
                   'token_expires_millis', unix_millis(v_principal.expires_at),
                   'pool_expires_millis', unix_millis(least(p.next_due_at, a.next_end, 'infinity')),
                   'pool', json_build_object(
                       'organization_id', prefixed_id('org_', p_organization_id),
                       'available', money_json(coalesce(p.available, 0), p_currency),
                       'held', money_json(coalesce(p.held, 0), p_currency),
                       'total', money_json(coalesce(p.available + p.held, 0), p_currency),
                       'pending', money_json(coalesce(p.pending, 0), p_currency),
                       'allocated', money_json(coalesce(a.allocated, 0), p_currency),
                       'unallocated', money_json(
                           greatest(coalesce(p.available, 0) - coalesce(a.allocated, 0), 0), p_currency)))
          FROM allocations a LEFT JOIN pool p ON true);
END;
$$;
