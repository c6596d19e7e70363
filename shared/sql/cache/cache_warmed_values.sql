-- What is cached of organizations and is the same for whoever may see it, as a mode wants it.
CREATE OR REPLACE FUNCTION cache_warmed_values(p_mode text, p_organization_ids uuid[]) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_patterns text[] := cache_warmed_patterns(p_mode);
BEGIN
    RETURN json_build_object(
        'subscriptions', (
            SELECT coalesce(json_agg(subscription_json(s)), '[]') FROM organization_subscriptions s
             WHERE s.organization_id = ANY (p_organization_ids)
               AND 'subscription:{organization}' = ANY (v_patterns)),
        'pools', (
            SELECT coalesce(json_agg(json_build_object(
                       'currency', a.currency, 'expires_millis', unix_millis(f.o_until), 'pool', f.o_pool)), '[]')
              FROM credit_accounts a, pool_figures(a.organization_id, a.currency, statement_timestamp()) f
             WHERE a.organization_id = ANY (p_organization_ids) AND a.user_id IS NULL
               AND 'credit_pool:{organization}:{currency}' = ANY (v_patterns)));
END;
$$;
