-- The first page of the accounts, newest first: of all for the platform, of the token's organization
-- for others. The other pages are read by billing_accounts_page, because whoever may begin to read
-- may read to the end.
CREATE OR REPLACE FUNCTION billing_accounts_export(p_digest bytea, p_limit integer) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_is_platform boolean := coalesce('accounts:read' = ANY (v_principal.permissions), false);
    v_refusal json := CASE WHEN NOT v_is_platform THEN refusal(v_principal, 'billing:read') END;
    v_organization_id uuid := CASE WHEN NOT v_is_platform THEN v_principal.organization_id END;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    RETURN json_build_object(
        'reader', json_build_object('organization_id', prefixed_id('org_', v_organization_id)),
        'accounts', billing_accounts_page(v_organization_id, 'ffffffff-ffff-ffff-ffff-ffffffffffff', p_limit));
END;
$$;
