-- The number below which the transfers of an account come after a place in a list of all accounts
-- of an owner: newest first, and of one moment in the order of the currencies. The place is that of
-- an entry in p_currency of the moment p_at; p_sequence is its number if it is one of this account.
-- Without a place all come after it.
CREATE OR REPLACE FUNCTION ledger_sequence_at_place(
    p_account credit_accounts, p_now timestamptz, p_at timestamptz, p_currency text, p_sequence bigint
) RETURNS bigint
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF p_at IS NULL THEN
        RETURN 9223372036854775807;
    ELSIF p_sequence IS NOT NULL THEN
        RETURN p_sequence;
    ELSIF p_account.currency COLLATE "C" > p_currency THEN
        RETURN ledger_sequence_at(p_account, p_now, p_at + interval '1 microsecond');
    ELSE
        RETURN ledger_sequence_at(p_account, p_now, p_at);
    END IF;
END;
$$;
