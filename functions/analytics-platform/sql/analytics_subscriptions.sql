-- The subscriptions as they are now, how they came to change from p_since to
-- before p_until, and the plans that bring most.
CREATE OR REPLACE FUNCTION analytics_subscriptions(p_currency text, p_since date, p_until date, p_max_plans integer) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT json_build_object(
        'subscriptions', subscription_totals_json(
            p_currency,
            coalesce(sum(new_mrr + expansion_mrr + reactivation_mrr - contraction_mrr - churned_mrr), 0),
            coalesce(sum(active), 0),
            coalesce(sum(new_mrr) FILTER (WHERE is_in_range), 0),
            coalesce(sum(expansion_mrr) FILTER (WHERE is_in_range), 0),
            coalesce(sum(contraction_mrr) FILTER (WHERE is_in_range), 0),
            coalesce(sum(churned_mrr) FILTER (WHERE is_in_range), 0),
            coalesce(sum(reactivation_mrr) FILTER (WHERE is_in_range), 0)),
        'plans', (SELECT coalesce(json_agg(json_build_object(
                             'plan', plan, 'subscriptions', subscriptions, 'seats', seats,
                             'mrr', money_json(mrr, p_currency))
                             ORDER BY mrr DESC, plan), '[]'::json)
                    FROM (SELECT * FROM subscription_totals_by_plan
                           WHERE currency = p_currency AND subscriptions > 0
                           ORDER BY mrr DESC, plan LIMIT p_max_plans) most))
      FROM (SELECT *, day >= p_since AND day < p_until AS is_in_range
              FROM subscription_totals_daily WHERE currency = p_currency) days
$$;
