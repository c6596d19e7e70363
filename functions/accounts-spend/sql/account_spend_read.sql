-- What the spend of an account is computed from: its subscriptions that have started and not ended,
-- each with the terms of its plan, what was billed of its period in advance, and what was used of it.
CREATE OR REPLACE FUNCTION account_spend_read(
    p_digest bytea, p_id uuid, p_max_cells integer, p_max_events integer, p_max_series integer
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_is_platform boolean := coalesce('accounts:read' = ANY (v_principal.permissions), false);
    v_refusal json := CASE WHEN NOT v_is_platform THEN refusal(v_principal, 'billing:read') END;
    v_account billing_accounts;
    v_subscription subscriptions;
    v_now timestamptz;
    v_found json[] := ARRAY[]::json[];
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
    v_now := billing_account_now(v_account);
    FOR v_subscription IN
        SELECT * FROM subscriptions
         WHERE organization_id = v_account.organization_id AND account_id = v_account.id
           AND status IN ('trialing', 'active', 'paused')
         ORDER BY id DESC LIMIT 100
    LOOP
        v_found := v_found || subscription_spend_facts(v_account, v_subscription, v_now, p_max_cells, p_max_events,
                                                       p_max_series);
    END LOOP;
    RETURN json_build_object('as_of', rfc3339(v_now), 'subscriptions', array_to_json(v_found));
END;
$$;
