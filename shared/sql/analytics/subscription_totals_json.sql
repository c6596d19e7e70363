-- What subscriptions in one currency are worth at the end of a time, and how that
-- changed in it, as the API shows it.
CREATE OR REPLACE FUNCTION subscription_totals_json(
    p_currency text, p_mrr numeric, p_active numeric, p_new_mrr numeric, p_expansion_mrr numeric,
    p_contraction_mrr numeric, p_churned_mrr numeric, p_reactivation_mrr numeric
) RETURNS json
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT json_build_object(
        'mrr', money_json(p_mrr, p_currency),
        'active', p_active,
        'new_mrr', money_json(p_new_mrr, p_currency),
        'expansion_mrr', money_json(p_expansion_mrr, p_currency),
        'contraction_mrr', money_json(p_contraction_mrr, p_currency),
        'churned_mrr', money_json(p_churned_mrr, p_currency),
        'reactivation_mrr', money_json(p_reactivation_mrr, p_currency),
        'net_new_mrr', money_json(p_new_mrr + p_expansion_mrr + p_reactivation_mrr
                                  - p_contraction_mrr - p_churned_mrr, p_currency))
$$;
