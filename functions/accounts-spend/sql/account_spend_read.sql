-- What the spend of an account is computed from: its subscriptions that have started and not ended,
-- each with the terms of its plan, what was billed of its period in advance, and what was used of it.
CREATE OR REPLACE FUNCTION account_spend_read(
    p_digest bytea, p_id uuid, p_max_cells integer, p_max_events integer, p_max_series integer
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_seen record := billing_account_seen(authenticate(p_digest), p_id);
    v_account billing_accounts := v_seen.account;
    v_subscription subscriptions;
    v_now timestamptz;
    v_found json[] := ARRAY[]::json[];
    v_taken text[] := ARRAY[]::text[];
BEGIN
    IF v_seen.refusal IS NOT NULL THEN
        RETURN v_seen.refusal;
    END IF;
    v_now := billing_account_now(v_account);
    FOR v_subscription IN
        SELECT * FROM subscriptions
         WHERE organization_id = v_account.organization_id AND account_id = v_account.id
           AND status IN ('trialing', 'active', 'paused')
         -- An account has a hundred at most. Of two that price the same usage the older one is paid for it.
         ORDER BY id
    LOOP
        v_found := v_found || subscription_spend_facts(v_account, v_subscription, v_now, v_taken, p_max_cells,
                                                       p_max_events, p_max_series);
        v_taken := v_taken || ARRAY(
            SELECT c.value ->> 'metric'
              FROM jsonb_array_elements(plan_version_terms(v_subscription.plan_id, v_subscription.plan_version)
                                        -> 'charges') c
             WHERE c.value ->> 'metric' IS NOT NULL AND coalesce(c.value ->> 'billing', 'arrears') = 'arrears');
    END LOOP;
    RETURN json_build_object('as_of', rfc3339(v_now), 'subscriptions', array_to_json(v_found));
END;
$$;
