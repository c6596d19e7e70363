-- A page of the organizations with a subscription in one currency, those that
-- bring most first, and one row more than asked for, by which the caller knows
-- whether there is a next page. What has fallen due of a pool is taken into
-- account and not posted.
CREATE OR REPLACE FUNCTION analytics_organizations(
    p_digest bytea, p_currency text, p_limit integer, p_after_mrr numeric, p_after_id uuid
) RETURNS json
LANGUAGE plpgsql STABLE
SET jit = off AS $$
DECLARE
    v_answer json := analytics_refusal(p_digest);
    v_now timestamptz := statement_timestamp();
BEGIN
    IF v_answer IS NOT NULL THEN
        RETURN v_answer;
    END IF;
    RETURN (
        SELECT coalesce(json_agg(json_build_object(
                   'organization_id', prefixed_id('org_', s.organization_id),
                   'name', (SELECT o.name FROM organizations o WHERE o.id = s.organization_id),
                   'plan', s.plan, 'status', s.status, 'seats', s.seats,
                   'mrr', money_json(s.mrr, p_currency),
                   'pool', json_build_object(
                       'available', money_json(coalesce(pool.available, 0), p_currency),
                       'consumed', money_json(coalesce(pool.consumed, 0), p_currency)))
                   ORDER BY s.mrr DESC, s.organization_id DESC), '[]'::json)
          FROM (SELECT * FROM organization_subscriptions
                 WHERE currency = p_currency
                   AND (mrr, organization_id) < (coalesce(p_after_mrr, 'Infinity'),
                                                 coalesce(p_after_id, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
                 ORDER BY mrr DESC, organization_id DESC
                 LIMIT p_limit + 1) s
          -- The limit keeps this look-up what it is, whatever the page's is.
          LEFT JOIN LATERAL (
              SELECT now.available, now.consumed
                FROM (SELECT * FROM credit_accounts
                       WHERE organization_id = s.organization_id AND user_id IS NULL AND currency = p_currency
                       LIMIT 1) a,
                     account_as_of(a, v_now) now) pool ON true);
END;
$$;
