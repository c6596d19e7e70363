-- Transfers of an account below p_before and from p_from on, newest first.
CREATE OR REPLACE FUNCTION transfers_page(
    p_organization_id uuid, p_account_id uuid, p_currency text, p_kind text, p_from bigint, p_before bigint,
    p_limit integer
) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_account credit_accounts;
BEGIN
    SELECT * INTO v_account FROM credit_accounts WHERE organization_id = p_organization_id AND id = p_account_id;
    RETURN (
        SELECT coalesce(json_agg(json_build_object('sequence', t.sequence, 'transaction', transfer_json(t, p_currency))
                                 ORDER BY t.sequence DESC), '[]'::json)
          FROM transfers_as_of(v_account, statement_timestamp(), p_kind, p_from, p_before, p_limit) t);
END;
$$;
