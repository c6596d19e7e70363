-- The pool's ledger, newest first, with who asked for each transaction: one row
-- more than asked for, by which the caller knows whether there is a next page.
CREATE OR REPLACE FUNCTION credit_pool_transactions(
    p_digest bytea, p_organization_id uuid, p_currency text, p_limit integer, p_before bigint,
    p_kind text DEFAULT NULL, p_since timestamptz DEFAULT NULL, p_until timestamptz DEFAULT NULL
) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := organization_refusal(v_principal, p_organization_id, 'billing:read');
    v_now timestamptz := statement_timestamp();
    v_account credit_accounts;
    v_from bigint := 0;
    v_before bigint := p_before;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    v_account := account_find(p_organization_id, NULL, p_currency);
    IF p_since IS NOT NULL THEN
        v_from := ledger_sequence_at(v_account, v_now, p_since);
    END IF;
    IF p_until IS NOT NULL THEN
        v_before := least(p_before, ledger_sequence_at(v_account, v_now, p_until));
    END IF;
    RETURN (
        SELECT coalesce(json_agg(json_build_object('sequence', t.sequence, 'actor_id', prefixed_id('usr_', t.actor_id),
                                                   'transaction', transfer_json(t, p_currency))
                                 ORDER BY t.sequence DESC), '[]'::json)
          FROM transfers_as_of(v_account, v_now, p_kind, v_from, v_before, p_limit + 1) t);
END;
$$;
