-- Moves the clock of an account in test mode forward, and returns the facts of those of its
-- subscriptions of which something is due by then, the longest waiting first.
CREATE OR REPLACE FUNCTION account_test_clock_set(
    p_digest bytea, p_account_id uuid, p_to timestamptz, p_limit integer
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal;
    v_refusal json;
    v_account billing_accounts;
BEGIN
    SELECT * INTO v_account FROM billing_accounts WHERE id = p_account_id FOR NO KEY UPDATE;
    v_principal := authenticate(p_digest);
    v_refusal := refusal(v_principal, 'subscriptions:manage');
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    IF v_account.id IS NULL THEN
        RETURN json_build_object('refusal', 'account_not_found');
    END IF;
    IF NOT v_account.is_test THEN
        RETURN json_build_object('refusal', 'account_not_in_test_mode');
    END IF;
    -- The same time again goes on where the call before stopped.
    IF p_to IS DISTINCT FROM v_account.test_clock_at THEN
        -- Until something has happened by it, the first time can be any.
        IF p_to < billing_account_now(v_account) AND (v_account.test_clock_at IS NOT NULL OR EXISTS (
            SELECT 1 FROM subscriptions s
             WHERE s.organization_id = v_account.organization_id AND s.account_id = v_account.id)) THEN
            RETURN json_build_object('refusal', 'test_clock_goes_forward',
                                     'test_clock_at', rfc3339(billing_account_now(v_account)));
        END IF;
        UPDATE billing_accounts a
           SET test_clock_at = p_to, version = a.version + 1, updated_at = clock_timestamp()
         WHERE a.organization_id = v_account.organization_id AND a.id = v_account.id;
        PERFORM audit_append(
            v_account.organization_id, 'account.test_clock_moved', v_principal.user_id,
            prefixed_id('acc_', v_account.id), jsonb_build_object('to', rfc3339(p_to)));
    END IF;
    RETURN json_build_object('due', (
        SELECT coalesce(json_agg(subscription_facts(s, p_to, NULL, NULL) ORDER BY s.next_due_at), '[]'::json)
          FROM (SELECT * FROM subscriptions
                 WHERE organization_id = v_account.organization_id AND account_id = v_account.id
                   AND next_due_at <= p_to
                 ORDER BY next_due_at LIMIT p_limit) s));
END;
$$;
