-- The totals of credits of the days from p_since to before p_until, and what is
-- owed now, what has lapsed and was not posted included. One statement, so that
-- an account which is settled meanwhile is counted once: either as posted or as
-- lapsed.
CREATE OR REPLACE FUNCTION analytics_credits(p_currency text, p_since date, p_until date, p_now timestamptz) RETURNS json
LANGUAGE sql STABLE
-- Compiling the statement takes longer than running it.
SET jit = off AS $$
    WITH lapsed AS MATERIALIZED (
        SELECT day >= p_since AND day < p_until AS is_in_range, kind, amount FROM credits_lapsed(p_currency, p_now)
    ), lapsed_totals AS (
        SELECT coalesce(sum(amount), 0) AS amount,
               coalesce(sum(amount) FILTER (WHERE is_in_range AND kind = 'expire'), 0) AS expired,
               coalesce(sum(amount) FILTER (WHERE is_in_range AND kind = 'void'), 0) AS voided
          FROM lapsed
    ), posted AS (
        SELECT coalesce(sum(sold), 0) AS sold, coalesce(sum(promotional), 0) AS promotional,
               coalesce(sum(consumed), 0) AS consumed, coalesce(sum(refunded), 0) AS refunded,
               coalesce(sum(expired), 0) AS expired, coalesce(sum(voided), 0) AS voided,
               coalesce(sum(spends), 0) AS spends
          FROM credit_totals_daily
         WHERE currency = p_currency AND day >= p_since AND day < p_until
    )
    SELECT json_build_object(
        'credits', credit_totals_json(p_currency, p.sold, p.promotional, p.consumed, p.refunded,
                                      p.expired + l.expired, p.voided + l.voided, p.spends),
        'outstanding', json_build_object('liability', money_json(
            (SELECT coalesce(sum(amount), 0) FROM credit_liabilities WHERE currency = p_currency) - l.amount,
            p_currency)))
      FROM posted p, lapsed_totals l
$$;
