-- A hold of the token's user in its organization.
CREATE OR REPLACE FUNCTION credits_hold_find(p_digest bytea, p_hold_id uuid) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'credits:consume');
    v_account credit_accounts;
    v_hold credit_holds;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    SELECT a.* INTO v_account
      FROM credit_holds h JOIN credit_accounts a ON (a.organization_id, a.id) = (h.organization_id, h.account_id)
     WHERE h.organization_id = v_principal.organization_id AND h.id = p_hold_id AND a.user_id = v_principal.user_id;
    IF NOT FOUND THEN
        RETURN json_build_object('refusal', 'not_found');
    END IF;
    IF v_account.next_due_at <= clock_timestamp() THEN
        v_account := account_hold_by_id(v_account.organization_id, v_account.id);
    END IF;
    SELECT * INTO v_hold FROM credit_holds WHERE organization_id = v_account.organization_id AND id = p_hold_id;
    RETURN json_build_object('hold', credit_hold_json(v_hold, v_account.currency));
END;
$$;
