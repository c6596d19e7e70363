-- A page of the transfers of the token's user in its organization, in one currency or in all,
-- newest first, and one row more than asked for, by which the caller knows whether there is a next
-- page. The page is narrowed to a kind and to what came to pass from p_since to before p_until, and
-- begins after the place p_after_*. What has fallen due is there, posted or not.
CREATE OR REPLACE FUNCTION credits_transactions(
    p_digest bytea, p_currency text, p_limit integer,
    p_kind text DEFAULT NULL, p_since timestamptz DEFAULT NULL, p_until timestamptz DEFAULT NULL,
    p_after_at timestamptz DEFAULT NULL, p_after_currency text DEFAULT NULL, p_after_id uuid DEFAULT NULL
) RETURNS json
LANGUAGE plpgsql STABLE
-- To plan a page takes longer than to read it, and the plans are alike for all limits.
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'credits:read');
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    RETURN (
        SELECT coalesce(json_agg(json_build_object('at_micros', unix_micros(page.occurred_at),
                                                   'transaction', transfer_json(page.transfer, page.currency))
                                 ORDER BY page.occurred_at DESC, page.currency COLLATE "C",
                                          (page.transfer).sequence DESC), '[]'::json)
          FROM (SELECT t.*
                  FROM transfers_listed(v_principal.organization_id, v_principal.user_id, p_currency,
                                        statement_timestamp(), p_limit + 1, p_kind, p_since, p_until,
                                        p_after_at, p_after_currency, p_after_id) t
                 ORDER BY t.occurred_at DESC, t.currency COLLATE "C", (t.transfer).sequence DESC
                 LIMIT p_limit + 1) page);
END;
$$;
