-- Takes back what is left of a grant of a user or of a pool, and not what is held or
-- was spent. What comes back to it later is taken back then.
CREATE OR REPLACE FUNCTION credits_grant_void(
    p_digest bytea, p_key text, p_request_digest bytea, p_transfer_id uuid, p_grant_id uuid
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_answer json := refusal(v_principal, 'credits:grant');
    v_grant credit_grants := credit_grant_by_id(p_grant_id);
    v_transfer_id uuid := owned_id(v_grant.organization_id, p_transfer_id);
    v_account credit_accounts;
    v_post record;
BEGIN
    IF v_answer IS NOT NULL THEN
        RETURN v_answer;
    END IF;
    v_account := account_hold_by_id(v_grant.organization_id, v_grant.account_id);
    v_answer := idempotent_answer(v_grant.organization_id, v_principal.user_id, p_key, p_request_digest);
    IF v_answer IS NOT NULL THEN
        RETURN v_answer;
    END IF;
    -- As it is under the lock.
    SELECT * INTO v_grant FROM credit_grants WHERE organization_id = v_account.organization_id AND id = p_grant_id;
    IF NOT FOUND THEN
        RETURN json_build_object('refusal', 'not_found');
    END IF;
    IF v_grant.remaining = 0 THEN
        RETURN json_build_object('refusal', 'nothing_left');
    END IF;
    v_post := ledger_post(v_account, v_transfer_id, 'void',
                          CASE v_grant.state WHEN 'pending' THEN 'pending' ELSE 'available' END::credit_bucket, 'issued',
                          v_grant.remaining, 'void', v_principal.user_id);
    INSERT INTO credit_movements VALUES (v_grant.organization_id, v_transfer_id, p_grant_id, v_grant.remaining, 1);
    UPDATE credit_grants SET remaining = 0, state = 'closed', voided_at = clock_timestamp()
     WHERE organization_id = v_grant.organization_id AND id = p_grant_id RETURNING * INTO v_grant;
    PERFORM grant_audited('credits.grant_voided', v_account, v_grant, (v_post.transfer).amount, v_principal.user_id);
    v_answer := json_build_object(
        'user_id', prefixed_id('usr_', v_account.user_id),
        'organization_id', prefixed_id('org_', v_account.organization_id),
        'grant', credit_grant_json(v_grant, v_account.currency),
        'transaction', transfer_json(v_post.transfer, v_account.currency));
    RETURN idempotent_answer_keep(v_grant.organization_id, v_principal.user_id, p_key, p_request_digest, v_answer);
END;
$$;
