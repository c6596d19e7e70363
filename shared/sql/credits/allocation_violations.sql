-- Every allocation that says otherwise than the pool's ledger what was used of
-- it in its period; none is right. An allocation lives shorter than its account,
-- and its period begins no earlier than itself.
CREATE OR REPLACE FUNCTION allocation_violations() RETURNS TABLE (organization_id uuid, user_id uuid, violation text)
LANGUAGE sql STABLE AS $$
    SELECT a.organization_id, a.user_id,
           'used is ' || a.used || ' and the ledger has ' || l.used
      FROM credit_pool_allocations a
      CROSS JOIN LATERAL (
          SELECT coalesce(sum(t.amount - coalesce((
                     SELECT sum(r.amount) FROM ledger_transfers r
                      WHERE r.organization_id = t.organization_id AND r.refunds_id = t.id
                        AND r.occurred_at < a.period_ends_at), 0)), 0) AS used
            FROM credit_accounts c
            JOIN ledger_transfers t ON (t.organization_id, t.account_id) = (c.organization_id, c.id)
           WHERE c.organization_id = a.organization_id AND c.user_id IS NULL AND c.currency = a.currency
             AND t.kind = 'consume' AND t.actor_id = a.user_id
             AND t.occurred_at >= a.period_started_at AND t.occurred_at < a.period_ends_at) l
     WHERE a.used <> l.used
$$;
