-- Every way in which these figures could be wrong, one row each; none is right.
-- It reads the whole ledger, like ledger_violations().
CREATE OR REPLACE FUNCTION analytics_violations() RETURNS TABLE (subject text, violation text)
LANGUAGE sql STABLE AS $$
    SELECT concat_ws(' ', coalesce(t.currency, l.currency), coalesce(t.day, l.day)),
           'the totals of a day differ from the ledger'
      FROM credit_totals_daily t
      FULL JOIN credit_totals_of_ledger l USING (currency, day, shard)
     WHERE (t.sold, t.promotional, t.consumed, t.refunded, t.expired, t.voided, t.spends)
           IS DISTINCT FROM (l.sold, l.promotional, l.consumed, l.refunded, l.expired, l.voided, l.spends)
    UNION ALL
    SELECT coalesce(l.currency, a.currency), 'what is owed differs from the balances'
      FROM credit_liabilities l
      FULL JOIN (SELECT currency, credit_shard(id) AS shard, sum(pending + available + held) AS amount
                   FROM credit_accounts GROUP BY 1, 2) a USING (currency, shard)
     WHERE coalesce(l.amount, 0) <> coalesce(a.amount, 0)
    UNION ALL
    SELECT concat_ws(' ', coalesce(t.currency, c.currency), coalesce(t.day, c.day)),
           'the totals of a day differ from the changes of subscriptions'
      FROM subscription_totals_daily t
      FULL JOIN subscription_totals_of_changes c USING (currency, day)
     WHERE (t.new_mrr, t.expansion_mrr, t.contraction_mrr, t.churned_mrr, t.reactivation_mrr, t.active)
           IS DISTINCT FROM
           (c.new_mrr, c.expansion_mrr, c.contraction_mrr, c.churned_mrr, c.reactivation_mrr, c.active)
    UNION ALL
    SELECT concat_ws(' ', coalesce(t.currency, p.currency), coalesce(t.plan, p.plan)),
           'the totals of a plan differ from its subscriptions'
      FROM subscription_totals_by_plan t
      FULL JOIN subscription_totals_of_plans p USING (currency, plan)
     WHERE (coalesce(t.subscriptions, 0), coalesce(t.seats, 0), coalesce(t.mrr, 0))
           <> (coalesce(p.subscriptions, 0), coalesce(p.seats, 0), coalesce(p.mrr, 0))
    UNION ALL
    SELECT coalesce(d.currency, p.currency), 'the changes of subscriptions do not add up to the subscriptions'
      FROM (SELECT currency, sum(active) AS subscriptions,
                   sum(new_mrr + expansion_mrr + reactivation_mrr - contraction_mrr - churned_mrr) AS mrr
              FROM subscription_totals_daily GROUP BY 1) d
      FULL JOIN (SELECT currency, sum(subscriptions) AS subscriptions, sum(mrr) AS mrr
                   FROM subscription_totals_by_plan GROUP BY 1) p USING (currency)
     WHERE (coalesce(d.subscriptions, 0), coalesce(d.mrr, 0)) <> (coalesce(p.subscriptions, 0), coalesce(p.mrr, 0))
$$;
