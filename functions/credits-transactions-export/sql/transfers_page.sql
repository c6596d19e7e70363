-- Transfers of a person in an organization, in the order of the list. p_parts says of which
-- currencies, and of each the number of the first and the one below which they are.
CREATE OR REPLACE FUNCTION transfers_page(
    p_organization_id uuid, p_user_id uuid, p_parts jsonb, p_kind text, p_limit integer
) RETURNS json
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT coalesce(json_agg(json_build_object('sequence', (page.transfer).sequence,
                                                   'transaction', transfer_json(page.transfer, page.currency))
                                 ORDER BY page.occurred_at DESC, page.currency COLLATE "C",
                                          (page.transfer).sequence DESC), '[]'::json)
          FROM (SELECT part.currency, coalesce(t.occurred_at, t.created_at) AS occurred_at, t AS transfer
                  FROM jsonb_to_recordset(p_parts) AS part (currency text, first bigint, before bigint)
                 CROSS JOIN LATERAL transfers_as_of(account_find(p_organization_id, p_user_id, part.currency),
                                                    statement_timestamp(), p_kind, part.first, part.before, p_limit) t
                 ORDER BY 2 DESC, part.currency COLLATE "C", t.sequence DESC
                 LIMIT p_limit) page);
END;
$$;
