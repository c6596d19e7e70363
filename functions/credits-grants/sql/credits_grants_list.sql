-- A page of the grants of the token's user in its organization, newest first, and one row more
-- than asked for, by which the caller knows whether there is a next page. They are as what has
-- fallen due leaves them, posted or not.
CREATE OR REPLACE FUNCTION credits_grants_list(
    p_digest bytea, p_currency text, p_limit integer, p_before bigint
) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'credits:read');
    v_now timestamptz := statement_timestamp();
    v_account credit_accounts;
    v_changed credit_grants[];
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    v_account := account_find(v_principal.organization_id, v_principal.user_id, p_currency);
    IF v_account.next_due_at <= v_now THEN
        v_changed := ARRAY(
            SELECT g FROM grants_due(v_account, ARRAY(SELECT d FROM account_due(v_account, v_now) d)) g);
    END IF;
    RETURN (
        SELECT coalesce(json_agg(json_build_object(
                   'sequence', page.sequence,
                   'grant', credit_grant_json(
                       coalesce((SELECT c FROM unnest(v_changed) c WHERE c.id = page.id), page.found), p_currency))
                   ORDER BY page.sequence DESC), '[]'::json)
          FROM (SELECT g AS found, g.id, g.sequence FROM credit_grants g
                 WHERE organization_id = v_account.organization_id AND account_id = v_account.id AND sequence < p_before
                 ORDER BY sequence DESC
                 LIMIT p_limit + 1) page);
END;
$$;
