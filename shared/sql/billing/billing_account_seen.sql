-- An account, for whoever reads it: any for the platform, one of the principal's organization for
-- others; or why they may not. is_platform says which of the two they are.
CREATE OR REPLACE FUNCTION billing_account_seen(
    p_principal principal, p_id uuid, OUT account billing_accounts, OUT is_platform boolean, OUT refusal json
)
LANGUAGE plpgsql STABLE AS $$
BEGIN
    is_platform := coalesce('accounts:read' = ANY (p_principal.permissions), false);
    IF is_platform THEN
        account := billing_account_by_id(p_id);
    ELSE
        refusal := refusal(p_principal, 'billing:read');
        IF refusal IS NOT NULL THEN
            RETURN;
        END IF;
        SELECT * INTO account FROM billing_accounts
         WHERE organization_id = p_principal.organization_id AND id = p_id;
    END IF;
    IF account.id IS NULL THEN
        refusal := json_build_object('refusal', 'not_found');
    END IF;
END;
$$;
