-- A page of the grants of the token's user in its organization, newest first, and one row more than asked for, by
-- which the caller knows whether there is a next page.
CREATE OR REPLACE FUNCTION credits_grants_list(
    p_digest bytea, p_currency text, p_limit integer, p_before bigint
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'credits:read');
    v_account credit_accounts;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    v_account := account_as_of_now(v_principal.organization_id, v_principal.user_id, p_currency);
    RETURN (
        SELECT coalesce(json_agg(json_build_object(
                   'sequence', page.sequence, 'grant', credit_grant_json(page, p_currency))
                   ORDER BY page.sequence DESC), '[]'::json)
          FROM (SELECT * FROM credit_grants
                 WHERE organization_id = v_account.organization_id AND account_id = v_account.id AND sequence < p_before
                 ORDER BY sequence DESC
                 LIMIT p_limit + 1) page);
END;
$$;
