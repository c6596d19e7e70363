-- The pool's ledger, in one currency or in all, newest first, with who asked for each transaction:
-- one row more than asked for, by which the caller knows whether there is a next page.
CREATE OR REPLACE FUNCTION credit_pool_transactions(
    p_digest bytea, p_organization_id uuid, p_currency text, p_limit integer,
    p_kind text DEFAULT NULL, p_since timestamptz DEFAULT NULL, p_until timestamptz DEFAULT NULL,
    p_after_at timestamptz DEFAULT NULL, p_after_currency text DEFAULT NULL, p_after_id uuid DEFAULT NULL
) RETURNS json
LANGUAGE plpgsql STABLE
-- To plan a page takes longer than to read it, and the plans are alike for all limits.
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := organization_refusal(v_principal, p_organization_id, 'billing:read');
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    RETURN (
        SELECT coalesce(json_agg(json_build_object('at_micros', unix_micros(page.occurred_at),
                                                   'actor_id', prefixed_id('usr_', (page.transfer).actor_id),
                                                   'transaction', transfer_json(page.transfer, page.currency))
                                 ORDER BY page.occurred_at DESC, page.currency COLLATE "C",
                                          (page.transfer).sequence DESC), '[]'::json)
          FROM (SELECT t.*
                  FROM transfers_listed(p_organization_id, NULL, p_currency,
                                        statement_timestamp(), p_limit + 1, p_kind, p_since, p_until,
                                        p_after_at, p_after_currency, p_after_id) t
                 ORDER BY t.occurred_at DESC, t.currency COLLATE "C", (t.transfer).sequence DESC
                 LIMIT p_limit + 1) page);
END;
$$;
