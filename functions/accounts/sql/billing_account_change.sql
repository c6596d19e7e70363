-- Changes an account as an item says: any field for the platform, and for those who manage the
-- organization's billing who it is and where it is billed. See billing_account_apply.
CREATE OR REPLACE FUNCTION billing_account_change(p_digest bytea, p_item jsonb) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_is_platform boolean := coalesce('accounts:manage' = ANY (v_principal.permissions), false);
    v_refusal json := CASE WHEN NOT v_is_platform THEN refusal(v_principal, 'billing:manage') END;
    v_result record;
    v_account billing_accounts;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    IF NOT v_is_platform AND (p_item -> 'patch') - ARRAY[
           'name', 'email', 'phone', 'billing_address', 'shipping_address', 'tax_ids', 'locale'] <> '{}' THEN
        -- Whose account it is comes first: nobody learns of another organization's.
        PERFORM 1 FROM billing_accounts
         WHERE organization_id = v_principal.organization_id AND id = (p_item ->> 'id')::uuid;
        RETURN CASE WHEN FOUND THEN refusal(v_principal, 'accounts:manage')
                    ELSE json_build_object('refusal', 'not_found') END;
    END IF;
    v_result := billing_account_apply(v_principal, p_item, v_is_platform);
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
