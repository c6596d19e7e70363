-- Adds a grant to a locked account, once for each key that the actor has sent in the organization
-- p_key_organization_id; answers with it, or with why it cannot be. The rules are those of every
-- account, whoever it belongs to.
CREATE OR REPLACE FUNCTION account_grant(
    p_account credit_accounts, p_key_organization_id uuid, p_key text, p_request_digest bytea,
    p_transfer_id uuid, p_grant_id uuid, p_amount numeric, p_description text,
    p_kind text, p_priority integer, p_effective_at timestamptz, p_expires_at timestamptz, p_actor_id uuid
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_account credit_accounts := p_account;
    v_answer json := idempotent_answer(p_key_organization_id, p_actor_id, p_key, p_request_digest);
    v_transfer_id uuid := owned_id(p_account.organization_id, p_transfer_id);
    v_grant credit_grants;
    v_post record;
    v_now timestamptz := clock_timestamp();
    v_effective_at timestamptz := greatest(v_now, p_effective_at);
    v_is_pending boolean := v_effective_at > v_now;
    v_falls_due_at timestamptz := CASE WHEN v_effective_at > v_now THEN v_effective_at
                                       ELSE coalesce(p_expires_at, 'infinity') END;
    v_count record;
BEGIN
    IF v_answer IS NOT NULL THEN
        RETURN v_answer;
    END IF;
    IF p_expires_at <= v_effective_at THEN
        RETURN json_build_object('refusal', 'expires_too_early');
    END IF;
    -- numeric(27,9) holds 18 digits before the point.
    IF p_amount - v_account.issued >= 1e18 THEN
        RETURN json_build_object('refusal', 'balance_limit');
    END IF;
    v_count := account_grants_count(v_account);
    IF ((v_is_pending OR p_expires_at < 'infinity') AND v_count.due >= max_due_grants())
       OR v_count.opened >= max_open_grants() THEN
        RETURN json_build_object('refusal', 'too_many_open_grants');
    END IF;
    v_post := ledger_post(v_account, v_transfer_id, 'grant', 'issued',
                          CASE WHEN v_is_pending THEN 'pending' ELSE 'available' END::credit_bucket,
                          p_amount, p_description, p_actor_id);
    v_account := v_post.account;
    INSERT INTO credit_grants (organization_id, id, account_id, sequence, kind, priority, amount, remaining,
                               effective_at, expires_at, state, description)
    VALUES (v_account.organization_id, owned_id(v_account.organization_id, p_grant_id), v_account.id,
            v_account.sequence, p_kind, p_priority, p_amount, p_amount,
            v_effective_at, coalesce(p_expires_at, 'infinity'),
            CASE WHEN v_is_pending THEN 'pending' ELSE 'open' END::credit_grant_state, p_description)
    RETURNING * INTO v_grant;
    INSERT INTO credit_movements VALUES (v_account.organization_id, v_transfer_id, v_grant.id, p_amount, 1);
    UPDATE credit_accounts SET next_due_at = v_falls_due_at
     WHERE organization_id = v_account.organization_id AND id = v_account.id AND next_due_at > v_falls_due_at;
    PERFORM grant_audited('credits.granted', v_account, v_grant, p_amount, p_actor_id);
    v_answer := json_build_object(
        'user_id', prefixed_id('usr_', v_account.user_id),
        'organization_id', prefixed_id('org_', v_account.organization_id),
        'grant', credit_grant_json(v_grant, v_account.currency),
        'transaction', transfer_json(v_post.transfer, v_account.currency));
    RETURN idempotent_answer_keep(p_key_organization_id, p_actor_id, p_key, p_request_digest, v_answer);
END;
$$;
