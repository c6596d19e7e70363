-- Whose credits a grant, or a transaction that spent some, belongs to: a person in an
-- organization, or the organization alone for its pool. Told to whoever may change it, so that
-- they can say beforehand whose balance they are about to change. An account never changes its
-- owner.
CREATE OR REPLACE FUNCTION credits_owner(p_digest bytea, p_grant_id uuid, p_transfer_id uuid) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'credits:grant');
    v_organization_id uuid;
    v_account_id uuid;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    IF p_grant_id IS NOT NULL THEN
        SELECT organization_id, account_id INTO v_organization_id, v_account_id FROM credit_grant_by_id(p_grant_id);
    ELSE
        SELECT organization_id, account_id INTO v_organization_id, v_account_id FROM ledger_transfer_by_id(p_transfer_id);
    END IF;
    IF v_account_id IS NULL THEN
        RETURN json_build_object('refusal', 'not_found');
    END IF;
    RETURN (SELECT json_build_object('user_id', prefixed_id('usr_', user_id),
                                     'organization_id', prefixed_id('org_', organization_id))
              FROM credit_accounts WHERE organization_id = v_organization_id AND id = v_account_id);
END;
$$;
