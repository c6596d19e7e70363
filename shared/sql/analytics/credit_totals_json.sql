-- What happened to credits in one currency, as the API shows it.
CREATE OR REPLACE FUNCTION credit_totals_json(
    p_currency text, p_sold numeric, p_promotional numeric, p_consumed numeric, p_refunded numeric,
    p_expired numeric, p_voided numeric, p_spends numeric
) RETURNS json
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT json_build_object(
        'sold', money_json(p_sold, p_currency),
        'promotional', money_json(p_promotional, p_currency),
        'consumed', money_json(p_consumed, p_currency),
        'refunded', money_json(p_refunded, p_currency),
        'expired', money_json(p_expired, p_currency),
        'voided', money_json(p_voided, p_currency),
        'spends', p_spends)
$$;
