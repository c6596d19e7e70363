-- The first of an account's transfers that came to pass at p_time or later, or the number after
-- its last, those that p_now has made due and nobody has posted included. p_account is the row
-- as it was read. Times follow the sequence, which has no gaps, so halving finds it: 20 rows of
-- an index for a million transfers, and no index in time that every spend would have to keep.
CREATE OR REPLACE FUNCTION ledger_sequence_at(
    p_account credit_accounts, p_now timestamptz, p_time timestamptz
) RETURNS bigint
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_from bigint := 1;
    v_to bigint := p_account.sequence + 1;
    v_middle bigint;
    v_occurred_at timestamptz;
BEGIN
    IF p_account.last_occurred_at < p_time THEN
        -- All that is posted came to pass before.
        v_from := v_to;
        IF p_account.next_due_at <= p_now THEN
            v_from := v_from + (SELECT count(*) FROM account_due(p_account, p_now) d
                                 WHERE d.occurred_at < p_time);
        END IF;
        RETURN v_from;
    END IF;
    WHILE v_from < v_to LOOP
        v_middle := (v_from + v_to) / 2;
        -- There is one with this number. In the order of the numbers no other index will do: the
        -- planner may take one that has the kind before the number for as good as the right one.
        SELECT coalesce(occurred_at, created_at) INTO v_occurred_at FROM ledger_transfers
         WHERE organization_id = p_account.organization_id AND account_id = p_account.id AND sequence >= v_middle
         ORDER BY sequence LIMIT 1;
        IF v_occurred_at >= p_time THEN
            v_to := v_middle;
        ELSE
            v_from := v_middle + 1;
        END IF;
    END LOOP;
    RETURN v_from;
END;
$$;
