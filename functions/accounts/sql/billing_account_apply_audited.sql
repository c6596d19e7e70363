-- Makes or changes one account as billing_account_apply() does, with its event in the audit log, and
-- answers with the account.
CREATE OR REPLACE FUNCTION billing_account_apply_audited(
    p_principal principal, p_item jsonb, p_is_platform boolean
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_result record := billing_account_apply(p_principal, p_item, p_is_platform);
    v_account billing_accounts := v_result.account;
BEGIN
    IF v_result.refusal IS NOT NULL THEN
        RETURN v_result.refusal;
    END IF;
    IF v_result.event IS NOT NULL THEN
        PERFORM audit_append(v_account.organization_id, v_result.event, p_principal.user_id,
                             prefixed_id('acc_', v_account.id), v_result.detail);
    END IF;
    RETURN billing_account_json(v_account);
END;
$$;
