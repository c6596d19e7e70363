-- The pool's ledger, newest first, with who asked for each transaction: one row
-- more than asked for, by which the caller knows whether there is a next page.
CREATE OR REPLACE FUNCTION credit_pool_transactions(
    p_digest bytea, p_organization_id uuid, p_currency text, p_limit integer, p_before bigint,
    p_kind text DEFAULT NULL, p_since timestamptz DEFAULT NULL, p_until timestamptz DEFAULT NULL
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := organization_refusal(v_principal, p_organization_id, 'billing:read');
    v_account credit_accounts;
    v_from bigint := 0;
    v_before bigint := p_before;
    v_rows json;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    v_account := pool_as_of_now(p_organization_id, p_currency);
    IF p_since IS NOT NULL THEN
        v_from := ledger_sequence_at(p_organization_id, v_account.id, v_account.sequence, p_since);
    END IF;
    IF p_until IS NOT NULL THEN
        v_before := least(p_before, ledger_sequence_at(p_organization_id, v_account.id, v_account.sequence, p_until));
    END IF;
    -- A statement for each index.
    IF p_kind IS NULL THEN
        SELECT json_agg(json_build_object('sequence', t.sequence, 'actor_id', prefixed_id('usr_', t.actor_id),
                                          'transaction', transfer_json(t, p_currency))
                        ORDER BY t.sequence DESC) INTO v_rows
          FROM (SELECT * FROM ledger_transfers
                 WHERE organization_id = p_organization_id AND account_id = v_account.id
                   AND sequence >= v_from AND sequence < v_before
                 ORDER BY sequence DESC LIMIT p_limit + 1) t;
    ELSE
        SELECT json_agg(json_build_object('sequence', t.sequence, 'actor_id', prefixed_id('usr_', t.actor_id),
                                          'transaction', transfer_json(t, p_currency))
                        ORDER BY t.sequence DESC) INTO v_rows
          FROM (SELECT * FROM ledger_transfers
                 WHERE organization_id = p_organization_id AND account_id = v_account.id AND kind = p_kind
                   AND sequence >= v_from AND sequence < v_before
                 ORDER BY sequence DESC LIMIT p_limit + 1) t;
    END IF;
    RETURN coalesce(v_rows, '[]'::json);
END;
$$;
