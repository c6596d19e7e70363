-- Closes an account on which nothing runs, or reopens it. Closing a closed one changes nothing.
CREATE OR REPLACE FUNCTION billing_account_close(p_digest bytea, p_id uuid, p_is_closed boolean) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'accounts:manage');
    v_account billing_accounts;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    v_account := billing_account_hold(v_principal, p_id, true, NULL);
    IF v_account.id IS NULL THEN
        RETURN json_build_object('refusal', 'not_found');
    END IF;
    IF p_is_closed <> (v_account.status = 'closed') THEN
        IF p_is_closed AND billing_account_is_in_use(v_account) THEN
            RETURN json_build_object('refusal', 'account_in_use');
        END IF;
        UPDATE billing_accounts
           SET status = CASE WHEN p_is_closed THEN 'closed' ELSE 'active' END,
               closed_at = CASE WHEN p_is_closed THEN clock_timestamp() END,
               version = version + 1, updated_at = clock_timestamp()
         WHERE organization_id = v_account.organization_id AND id = p_id
        RETURNING * INTO v_account;
        PERFORM audit_append(v_account.organization_id,
                             CASE WHEN p_is_closed THEN 'account.closed' ELSE 'account.reopened' END,
                             v_principal.user_id, prefixed_id('acc_', p_id),
                             jsonb_build_object('version', v_account.version));
    END IF;
    RETURN billing_account_json(v_account);
END;
$$;
