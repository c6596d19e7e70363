-- Transfers of a person in an organization, or of its pools where there is no person, with the
-- moment at which each came to pass: in one currency, or in all without one. They are narrowed to a
-- kind and to what came to pass from p_since to before p_until, and come after the place p_after_*
-- in the order of the lists: newest first, of one moment by currency, and of an account by their
-- numbers, the highest first. Times follow the numbers. What has fallen due by p_now is there,
-- posted or not.
--
-- Of each account at most p_limit are read, and the caller takes the first p_limit of all.
CREATE OR REPLACE FUNCTION transfers_listed(
    p_organization_id uuid, p_user_id uuid, p_currency text, p_now timestamptz, p_limit integer,
    p_kind text, p_since timestamptz, p_until timestamptz,
    p_after_at timestamptz, p_after_currency text, p_after_id uuid
) RETURNS TABLE (currency text, occurred_at timestamptz, transfer ledger_transfers)
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_account credit_accounts;
    v_after_sequence bigint;
    v_from bigint;
    v_before bigint;
BEGIN
    FOR v_account IN SELECT * FROM accounts_find(p_organization_id, p_user_id, p_currency) LOOP
        v_after_sequence := CASE WHEN v_account.currency = p_after_currency
                                 THEN ledger_sequence_of(v_account, p_now, p_after_id) END;
        v_before := ledger_sequence_at_place(v_account, p_now, p_after_at, p_after_currency, v_after_sequence);
        v_from := 0;
        IF p_since IS NOT NULL THEN
            v_from := ledger_sequence_at(v_account, p_now, p_since);
        END IF;
        IF p_until IS NOT NULL THEN
            v_before := least(v_before, ledger_sequence_at(v_account, p_now, p_until));
        END IF;
        RETURN QUERY
            SELECT v_account.currency, coalesce(t.occurred_at, t.created_at), t
              FROM transfers_as_of(v_account, p_now, p_kind, v_from, v_before, p_limit) t;
    END LOOP;
END;
$$;
