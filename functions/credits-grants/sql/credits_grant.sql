-- Gives credits to a person in one of their organizations: the one that is named, or the
-- oldest of theirs, in which they sign in. The caller need not belong to it: the permission
-- is the platform's. A grant that is not yet effective is pending; a time in the past is now.
-- account_grant has the rules of every grant.
--
-- The key belongs to the organization that the caller acts in. That of the credits would not do:
-- which one it is can change between a request and its retry.
CREATE OR REPLACE FUNCTION credits_grant(
    p_digest bytea, p_key text, p_request_digest bytea, p_transfer_id uuid, p_account_id uuid, p_grant_id uuid,
    p_user_id uuid, p_currency text, p_amount numeric, p_description text,
    p_kind text DEFAULT 'paid', p_priority integer DEFAULT 50,
    p_effective_at timestamptz DEFAULT NULL, p_expires_at timestamptz DEFAULT NULL,
    p_organization_id uuid DEFAULT NULL
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_answer json := refusal(v_principal, 'credits:grant');
    v_organization_id uuid;
BEGIN
    IF v_answer IS NOT NULL THEN
        RETURN v_answer;
    END IF;
    -- Asked again under lock, by account_grant; asked here so that a repeated key leaves no
    -- empty account behind, and is answered as before when the person has left meanwhile.
    v_answer := idempotent_answer(v_principal.organization_id, v_principal.user_id, p_key, p_request_digest);
    IF v_answer IS NOT NULL THEN
        RETURN v_answer;
    END IF;
    v_organization_id := coalesce(p_organization_id, user_home_organization(p_user_id));
    PERFORM 1 FROM memberships WHERE organization_id = v_organization_id AND user_id = p_user_id;
    IF NOT FOUND THEN
        PERFORM 1 FROM users WHERE id = p_user_id;
        RETURN json_build_object('refusal', CASE WHEN NOT FOUND THEN 'user_not_found'
                                                 WHEN p_organization_id IS NULL THEN 'user_without_organization'
                                                 ELSE 'membership_not_found' END);
    END IF;
    INSERT INTO credit_accounts (organization_id, id, user_id, currency)
    VALUES (v_organization_id, owned_id(v_organization_id, p_account_id), p_user_id, p_currency)
    ON CONFLICT ON CONSTRAINT credit_accounts_by_owner DO NOTHING;
    RETURN account_grant(account_hold_row(v_organization_id, p_user_id, p_currency),
                         v_principal.organization_id, p_key, p_request_digest, p_transfer_id, p_grant_id,
                         p_amount, p_description, p_kind, p_priority, p_effective_at, p_expires_at,
                         v_principal.user_id);
END;
$$;
