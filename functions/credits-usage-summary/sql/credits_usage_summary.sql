-- What the token's user has spent in its organization from p_since to before p_until: in all,
-- and by the columns of credit_usage_daily that p_by names in their order there. A page of
-- groups in that order, those after p_after_*, and one more than asked for by which the caller
-- knows whether there is a next page. By day alone every day is there, those without usage too.
CREATE OR REPLACE FUNCTION credits_usage_summary(
    p_digest bytea, p_currency text, p_since date, p_until date,
    p_by_day boolean, p_by_service boolean, p_by_model boolean, p_limit integer,
    p_after_day date DEFAULT NULL, p_after_service text DEFAULT NULL, p_after_model text DEFAULT NULL
) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'credits:read');
    v_account_id uuid;
    v_first date := p_since;
    -- Names of columns, and never of a client.
    v_columns text := concat_ws(', ', CASE WHEN p_by_day THEN 'day' END,
                                CASE WHEN p_by_service THEN 'service' END, CASE WHEN p_by_model THEN 'model' END);
    v_after text := concat_ws(', ', CASE WHEN p_by_day THEN '$4::date' END,
                              CASE WHEN p_by_service THEN '$5::text' END, CASE WHEN p_by_model THEN '$6::text' END);
    v_has_after boolean := coalesce(p_after_day::text, p_after_service, p_after_model) IS NOT NULL;
    v_total json;
    v_groups json;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    SELECT id INTO v_account_id FROM credit_accounts
     WHERE organization_id = v_principal.organization_id AND user_id = v_principal.user_id AND currency = p_currency;
    SELECT usage_sum_json(sum(spent), sum(refunded), sum(spends)::bigint, sum(refunds)::bigint, p_currency)
      INTO v_total
      FROM credit_usage_daily
     WHERE organization_id = v_principal.organization_id AND account_id = v_account_id AND day >= p_since AND day < p_until;
    IF p_by_day AND NOT p_by_service AND NOT p_by_model THEN
        v_first := greatest(p_since, p_after_day + 1);
        SELECT json_agg(json_build_object(
                   'day', to_char(v_first + n, 'YYYY-MM-DD'),
                   'sum', usage_sum_json(u.spent, u.refunded, u.spends, u.refunds, p_currency)) ORDER BY n)
          INTO v_groups
          FROM generate_series(0, least(p_limit, p_until - v_first - 1)) n
          LEFT JOIN (SELECT day, sum(spent) AS spent, sum(refunded) AS refunded,
                            sum(spends)::bigint AS spends, sum(refunds)::bigint AS refunds
                       FROM credit_usage_daily
                      WHERE organization_id = v_principal.organization_id AND account_id = v_account_id
                        AND day >= v_first AND day < p_until AND day <= v_first + p_limit
                      GROUP BY day) u ON u.day = v_first + n;
    ELSE
        -- Each grouping is a statement of its own, so that those that begin with
        -- the day read the index in its order, and no further than the page.
        EXECUTE format(
            'SELECT json_agg(json_build_object(
                        ''day'', to_char(%2$s, ''YYYY-MM-DD''), ''service'', %3$s, ''model'', %4$s,
                        ''sum'', usage_sum_json(spent, refunded, spends, refunds, $8)))
               FROM (SELECT %1$s, sum(spent) AS spent, sum(refunded) AS refunded,
                            sum(spends)::bigint AS spends, sum(refunds)::bigint AS refunds
                       FROM credit_usage_daily
                      WHERE organization_id = $9 AND account_id = $1 AND day >= $2 AND day < $3 %5$s
                      GROUP BY %1$s ORDER BY %1$s LIMIT $7) g',
            v_columns,
            CASE WHEN p_by_day THEN 'day' ELSE 'NULL::date' END,
            CASE WHEN p_by_service THEN 'service' ELSE 'NULL::text' END,
            CASE WHEN p_by_model THEN 'model' ELSE 'NULL::text' END,
            CASE WHEN v_has_after THEN format('AND (%s) > (%s)', v_columns, v_after) ELSE '' END)
           INTO v_groups
          USING v_account_id, greatest(p_since, p_after_day), p_until,
                p_after_day, p_after_service, p_after_model, p_limit + 1, p_currency,
                v_principal.organization_id;
    END IF;
    RETURN json_build_object(
        'token_expires_millis', unix_millis(v_principal.expires_at),
        'total', v_total, 'groups', coalesce(v_groups, '[]'::json));
END;
$$;
