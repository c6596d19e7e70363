-- Transfers of an account below p_before and from p_from on, newest first, those that p_now has
-- made due and nobody has posted included. p_account is the row as it was read.
CREATE OR REPLACE FUNCTION transfers_as_of(
    p_account credit_accounts, p_now timestamptz, p_kind text, p_from bigint, p_before bigint, p_limit integer
) RETURNS SETOF ledger_transfers
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_count integer := 0;
    v_due credit_due[];
BEGIN
    -- What is due comes after what is posted, and so is on the first pages alone.
    IF p_account.next_due_at <= p_now AND p_before > p_account.sequence + 1 THEN
        v_due := ARRAY(SELECT d FROM account_due(p_account, p_now) d);
        RETURN QUERY
            SELECT t.*
              FROM (SELECT d.transfer FROM transfers_due(p_account, v_due) d OFFSET 0) due,
                   LATERAL (SELECT (due.transfer).*) t
             WHERE t.sequence >= p_from AND t.sequence < p_before AND (p_kind IS NULL OR t.kind = p_kind)
             ORDER BY t.sequence DESC LIMIT p_limit;
        GET DIAGNOSTICS v_count = ROW_COUNT;
    END IF;
    -- A statement for each index.
    IF p_kind IS NULL THEN
        RETURN QUERY
            SELECT * FROM ledger_transfers
             WHERE organization_id = p_account.organization_id AND account_id = p_account.id
               AND sequence >= p_from AND sequence < p_before
             ORDER BY sequence DESC LIMIT p_limit - v_count;
    ELSE
        RETURN QUERY
            SELECT * FROM ledger_transfers
             WHERE organization_id = p_account.organization_id AND account_id = p_account.id AND kind = p_kind
               AND sequence >= p_from AND sequence < p_before
             ORDER BY sequence DESC LIMIT p_limit - v_count;
    END IF;
END;
$$;
