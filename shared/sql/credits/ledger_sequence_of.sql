-- The number of a transfer of an account, one that p_now has made due and nobody has posted
-- included; null if the account has none with this id. p_account is the row as it was read.
CREATE OR REPLACE FUNCTION ledger_sequence_of(p_account credit_accounts, p_now timestamptz, p_id uuid) RETURNS bigint
LANGUAGE plpgsql STABLE AS $$
DECLARE
    -- By the id alone: the planner may take an index of the account for as good, and read all of it.
    v_sequence bigint := (SELECT found.sequence
                            FROM (SELECT t.sequence, t.account_id FROM ledger_transfers t
                                   WHERE t.organization_id = p_account.organization_id AND t.id = p_id
                                   LIMIT 1) found
                           WHERE found.account_id = p_account.id);
BEGIN
    IF v_sequence IS NULL AND p_account.next_due_at <= p_now THEN
        v_sequence := (SELECT (d.transfer).sequence
                         FROM transfers_due(p_account, ARRAY(SELECT a FROM account_due(p_account, p_now) a)) d
                        WHERE (d.transfer).id = p_id);
    END IF;
    RETURN v_sequence;
END;
$$;
