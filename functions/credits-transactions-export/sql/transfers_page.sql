-- Transfers of an account below p_before and from p_from on, newest first.
CREATE OR REPLACE FUNCTION transfers_page(
    p_organization_id uuid, p_account_id uuid, p_currency text, p_kind text, p_from bigint, p_before bigint,
    p_limit integer
) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_rows json;
BEGIN
    -- A statement for each index.
    IF p_kind IS NULL THEN
        SELECT json_agg(json_build_object('sequence', t.sequence, 'transaction', transfer_json(t, p_currency))
                        ORDER BY t.sequence DESC) INTO v_rows
          FROM (SELECT * FROM ledger_transfers
                 WHERE organization_id = p_organization_id AND account_id = p_account_id
                   AND sequence >= p_from AND sequence < p_before
                 ORDER BY sequence DESC LIMIT p_limit) t;
    ELSE
        SELECT json_agg(json_build_object('sequence', t.sequence, 'transaction', transfer_json(t, p_currency))
                        ORDER BY t.sequence DESC) INTO v_rows
          FROM (SELECT * FROM ledger_transfers
                 WHERE organization_id = p_organization_id AND account_id = p_account_id AND kind = p_kind
                   AND sequence >= p_from AND sequence < p_before
                 ORDER BY sequence DESC LIMIT p_limit) t;
    END IF;
    RETURN coalesce(v_rows, '[]'::json);
END;
$$;
