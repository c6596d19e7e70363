-- The totals of the days from p_since to before p_until by the interval that
-- they lie in, which p_unit ('day', 'week', 'month') names and its first day
-- stands for. An interval in which nothing was is absent.
CREATE OR REPLACE FUNCTION analytics_trends(
    p_currency text, p_unit text, p_since date, p_until date, p_now timestamptz
) RETURNS json
LANGUAGE sql STABLE
SET jit = off AS $$
    WITH days AS MATERIALIZED (
        SELECT day, sum(sold) AS sold, sum(promotional) AS promotional, sum(consumed) AS consumed,
               sum(refunded) AS refunded, sum(expired) AS expired, sum(voided) AS voided, sum(spends) AS spends
          FROM credit_totals_daily
         WHERE currency = p_currency AND day >= p_since AND day < p_until
         GROUP BY day
        UNION ALL
        SELECT day, 0, 0, 0, 0, CASE kind WHEN 'expire' THEN amount ELSE 0 END,
               CASE kind WHEN 'void' THEN amount ELSE 0 END, 0
          FROM credits_lapsed(p_currency, p_now)
         WHERE day >= p_since AND day < p_until
    ), credits AS (
        SELECT date_trunc(p_unit, day::timestamp)::date AS starts_on,
               credit_totals_json(p_currency, sum(sold), sum(promotional), sum(consumed), sum(refunded),
                                  sum(expired), sum(voided), sum(spends)) AS totals
          FROM days GROUP BY 1
    ), subscription_days AS MATERIALIZED (
        SELECT *, new_mrr + expansion_mrr + reactivation_mrr - contraction_mrr - churned_mrr AS net_new_mrr
          FROM subscription_totals_daily WHERE currency = p_currency AND day < p_until
    ), before AS (
        SELECT coalesce(sum(net_new_mrr), 0) AS mrr, coalesce(sum(active), 0) AS active
          FROM subscription_days WHERE day < p_since
    ), changes AS (
        SELECT date_trunc(p_unit, day::timestamp)::date AS starts_on,
               sum(new_mrr) AS new_mrr, sum(expansion_mrr) AS expansion_mrr, sum(contraction_mrr) AS contraction_mrr,
               sum(churned_mrr) AS churned_mrr, sum(reactivation_mrr) AS reactivation_mrr,
               sum(net_new_mrr) AS net_new_mrr, sum(active) AS active
          FROM subscription_days WHERE day >= p_since GROUP BY 1
    ), subscriptions AS (
        SELECT c.starts_on,
               subscription_totals_json(
                   p_currency, b.mrr + sum(c.net_new_mrr) OVER so_far, b.active + sum(c.active) OVER so_far,
                   c.new_mrr, c.expansion_mrr, c.contraction_mrr, c.churned_mrr, c.reactivation_mrr) AS totals
          FROM changes c CROSS JOIN before b
        WINDOW so_far AS (ORDER BY c.starts_on)
    )
    SELECT json_build_object(
        'before', (SELECT json_build_object('mrr', money_json(mrr, p_currency), 'active', active) FROM before),
        'credits', (SELECT coalesce(json_object_agg(to_char(starts_on, 'YYYY-MM-DD'), totals), '{}'::json) FROM credits),
        'subscriptions', (SELECT coalesce(json_object_agg(to_char(starts_on, 'YYYY-MM-DD'), totals), '{}'::json)
                            FROM subscriptions))
$$;
