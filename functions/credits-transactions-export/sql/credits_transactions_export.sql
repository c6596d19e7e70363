-- The first page of a ledger that is read to its end, and what the other pages
-- need: the account, and from which transfer on. They are read by transfers_page,
-- because whoever may begin to read may read to the end. What has fallen due is there,
-- posted or not; what comes later has a higher number and is on no page.
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
    v_from bigint := 0;
    v_before bigint;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    v_account := account_find(v_principal.organization_id, v_principal.user_id, p_currency);
    v_before := coalesce(v_account.sequence, 0) + 1;
    IF v_account.next_due_at <= v_now THEN
        v_before := v_before + (SELECT count(*) FROM account_due(v_account, v_now));
    END IF;
    IF p_since IS NOT NULL THEN
        v_from := ledger_sequence_at(v_account, v_now, p_since);
    END IF;
    IF p_until IS NOT NULL THEN
        v_before := least(v_before, ledger_sequence_at(v_account, v_now, p_until));
    END IF;
    RETURN json_build_object(
        'organization_id', prefixed_id('org_', v_account.organization_id),
        'account_id', prefixed_id('cac_', v_account.id),
        'from', v_from,
        'rows', transfers_page(v_account.organization_id, v_account.id, p_currency, p_kind, v_from, v_before, p_limit));
END;
$$;
