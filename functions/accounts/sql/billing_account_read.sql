-- An account: any for the platform, one of the token's organization for others. It says whose
-- accounts the token may read, so that this can be cached.
CREATE OR REPLACE FUNCTION billing_account_read(p_digest bytea, p_id uuid) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_is_platform boolean := coalesce('accounts:read' = ANY (v_principal.permissions), false);
    v_refusal json := CASE WHEN NOT v_is_platform THEN refusal(v_principal, 'billing:read') END;
    v_account billing_accounts;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    IF v_is_platform THEN
        v_account := billing_account_by_id(p_id);
    ELSE
        SELECT * INTO v_account FROM billing_accounts
         WHERE organization_id = v_principal.organization_id AND id = p_id;
    END IF;
    IF v_account.id IS NULL THEN
        RETURN json_build_object('refusal', 'not_found');
    END IF;
    RETURN json_build_object(
        'token_expires_millis', unix_millis(v_principal.expires_at),
        'reader', json_build_object('organization_id', CASE WHEN NOT v_is_platform THEN
                                                           prefixed_id('org_', v_principal.organization_id) END),
        'account', billing_account_json(v_account));
END;
$$;
