-- Makes an account as an item says, and its organization where it is not a person's. Safe to send
-- twice: the id is the caller's. See billing_account_apply.
CREATE OR REPLACE FUNCTION billing_account_create(p_digest bytea, p_item jsonb) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'accounts:manage');
    v_result record;
    v_account billing_accounts;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    v_result := billing_account_apply(v_principal, p_item, true);
    IF v_result.refusal IS NOT NULL THEN
        RETURN v_result.refusal;
    END IF;
    v_account := v_result.account;
    IF v_result.event IS NOT NULL THEN
        PERFORM audit_append(v_account.organization_id, v_result.event, v_principal.user_id,
                             prefixed_id('acc_', v_account.id), v_result.detail);
    END IF;
    RETURN billing_account_json(v_account);
END;
$$;
