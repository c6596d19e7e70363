-- The first of an account's transfers that came to pass at p_time or later, or
-- the number after its last. Times follow the sequence, which has no gaps, so
-- halving finds it: 20 rows of an index for a million transfers, and no index in
-- time that every spend would have to keep.
CREATE OR REPLACE FUNCTION ledger_sequence_at(
    p_organization_id uuid, p_account_id uuid, p_last bigint, p_time timestamptz
) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    v_from bigint := 1;
    v_to bigint := p_last + 1;
    v_middle bigint;
    v_occurred_at timestamptz;
BEGIN
    WHILE v_from < v_to LOOP
        v_middle := (v_from + v_to) / 2;
        SELECT coalesce(occurred_at, created_at) INTO v_occurred_at FROM ledger_transfers
         WHERE organization_id = p_organization_id AND account_id = p_account_id AND sequence = v_middle;
        IF v_occurred_at >= p_time THEN
            v_to := v_middle;
        ELSE
            v_from := v_middle + 1;
        END IF;
    END LOOP;
    RETURN v_from;
END;
$$;
