-- The first page of a ledger that is read to its end, in one currency or in all, and what the other
-- pages need: whose it is, and of each account which transfers are wanted. They are read by
-- transfers_page, because whoever may begin to read may read to the end. What has fallen due is
-- there, posted or not. What comes later has a higher number and is on no page, but for a spend that
-- was decided before something fell due and is committed after the first page: it takes the number of
-- what fell due, and in a file of more than a page in several currencies it can stand in its place.
CREATE OR REPLACE FUNCTION credits_transactions_export(
    p_digest bytea, p_currency text, p_limit integer,
    p_kind text DEFAULT NULL, p_since timestamptz DEFAULT NULL, p_until timestamptz DEFAULT NULL
) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'credits:read');
    v_now timestamptz := statement_timestamp();
    v_account credit_accounts;
    v_first bigint;
    v_before bigint;
    v_parts jsonb := '[]'::jsonb;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    FOR v_account IN SELECT * FROM accounts_find(v_principal.organization_id, v_principal.user_id, p_currency) LOOP
        v_first := 0;
        v_before := v_account.sequence + 1;
        IF v_account.next_due_at <= v_now THEN
            v_before := v_before + (SELECT count(*) FROM account_due(v_account, v_now));
        END IF;
        IF p_since IS NOT NULL THEN
            v_first := ledger_sequence_at(v_account, v_now, p_since);
        END IF;
        IF p_until IS NOT NULL THEN
            v_before := least(v_before, ledger_sequence_at(v_account, v_now, p_until));
        END IF;
        v_parts := v_parts || jsonb_build_object('currency', v_account.currency, 'first', v_first, 'before', v_before);
    END LOOP;
    RETURN json_build_object(
        'organization_id', prefixed_id('org_', v_principal.organization_id),
        'user_id', prefixed_id('usr_', v_principal.user_id),
        'parts', v_parts,
        'rows', transfers_page(v_principal.organization_id, v_principal.user_id, v_parts, p_kind, p_limit));
END;
$$;
