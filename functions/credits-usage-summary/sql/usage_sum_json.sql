-- What some spends and refunds came to, as the API shows it.
CREATE OR REPLACE FUNCTION usage_sum_json(
    p_spent numeric, p_refunded numeric, p_spends bigint, p_refunds bigint, p_currency text
) RETURNS json
LANGUAGE sql STABLE PARALLEL SAFE
RETURN json_build_object(
    'spent', money_json(coalesce(p_spent, 0), p_currency),
    'refunded', money_json(coalesce(p_refunded, 0), p_currency),
    'net', money_json(coalesce(p_spent, 0) - coalesce(p_refunded, 0), p_currency),
    'spends', coalesce(p_spends, 0),
    'refunds', coalesce(p_refunds, 0));
