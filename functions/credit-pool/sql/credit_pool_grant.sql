-- Gives credits to an organization's pool, of whichever organization: the
-- permission is the platform's.
CREATE OR REPLACE FUNCTION credit_pool_grant(
    p_digest bytea, p_key text, p_request_digest bytea, p_transfer_id uuid, p_account_id uuid, p_grant_id uuid,
    p_organization_id uuid, p_currency text, p_amount numeric, p_description text,
    p_kind text, p_priority integer, p_effective_at timestamptz, p_expires_at timestamptz
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_answer json := refusal(v_principal, 'credits:grant');
BEGIN
    IF v_answer IS NOT NULL THEN
        RETURN v_answer;
    END IF;
    -- Asked again under lock, by account_grant; asked here so that a repeated key
    -- leaves no empty account behind.
    v_answer := idempotent_answer(p_organization_id, v_principal.user_id, p_key, p_request_digest);
    IF v_answer IS NOT NULL THEN
        RETURN v_answer;
    END IF;
    PERFORM 1 FROM organizations WHERE id = p_organization_id;
    IF NOT FOUND THEN
        RETURN json_build_object('refusal', 'not_found');
    END IF;
    INSERT INTO credit_accounts (organization_id, id, currency)
    VALUES (p_organization_id, owned_id(p_organization_id, p_account_id), p_currency)
    ON CONFLICT ON CONSTRAINT credit_accounts_by_owner DO NOTHING;
    RETURN account_grant(pool_hold_row(p_organization_id, p_currency), p_organization_id, p_key, p_request_digest,
                         p_transfer_id, p_grant_id, p_amount, p_description, p_kind, p_priority,
                         p_effective_at, p_expires_at, v_principal.user_id);
END;
$$;
