-- Changes an account as an item says: any field for the platform, and for those who manage the
-- organization's billing who it is and where it is billed. See billing_account_apply.
CREATE OR REPLACE FUNCTION billing_account_change(p_digest bytea, p_item jsonb) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_is_platform boolean := coalesce('accounts:manage' = ANY (v_principal.permissions), false);
    v_refusal json := CASE WHEN NOT v_is_platform THEN refusal(v_principal, 'billing:manage') END;
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
    RETURN billing_account_apply_audited(v_principal, p_item, v_is_platform);
END;
$$;
