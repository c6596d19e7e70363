-- A page of accounts, and one more if there is one: of all for the platform, of the token's
-- organization for others. See billing_accounts_found.
CREATE OR REPLACE FUNCTION billing_accounts_list(
    p_digest bytea, p_status text, p_currency text, p_external_id text, p_key text, p_value text, p_q text,
    p_limit integer, p_after_text text, p_after_id uuid
) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_is_platform boolean := coalesce('accounts:read' = ANY (v_principal.permissions), false);
    v_refusal json := CASE WHEN NOT v_is_platform THEN refusal(v_principal, 'billing:read') END;
    v_q text := left(lower(p_q), 100);
    v_page billing_accounts[];
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    v_page := billing_accounts_found(
        CASE WHEN NOT v_is_platform THEN v_principal.organization_id END, p_status, p_currency, p_external_id,
        p_key, p_value, v_q, p_limit, p_after_text, p_after_id);
    RETURN (SELECT coalesce(json_agg(json_build_object(
                       'id', prefixed_id('acc_', (v_page[n]).id), 'text', coalesce(billing_account_match(v_page[n], v_q), ''),
                       'account', billing_account_json(v_page[n])) ORDER BY n), '[]'::json)
              FROM generate_subscripts(v_page, 1) n);
END;
$$;
