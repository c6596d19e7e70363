-- Gives credits to a user, who need not belong to the caller's organization: the
-- permission is the platform's. A grant that is not yet effective is pending; a time in
-- the past is now. account_grant has the rules of every grant.
CREATE OR REPLACE FUNCTION credits_grant(
    p_digest bytea, p_key text, p_request_digest bytea, p_transfer_id uuid, p_account_id uuid, p_grant_id uuid,
    p_user_id uuid, p_currency text, p_amount numeric, p_description text,
    p_kind text DEFAULT 'paid', p_priority integer DEFAULT 50,
    p_effective_at timestamptz DEFAULT NULL, p_expires_at timestamptz DEFAULT NULL
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
    v_answer := idempotent_answer(v_principal.user_id, p_key, p_request_digest);
    IF v_answer IS NOT NULL THEN
        RETURN v_answer;
    END IF;
    PERFORM 1 FROM users WHERE id = p_user_id;
    IF NOT FOUND THEN
        RETURN json_build_object('refusal', 'user_not_found');
    END IF;
    INSERT INTO credit_accounts (id, user_id, currency) VALUES (p_account_id, p_user_id, p_currency)
    ON CONFLICT ON CONSTRAINT credit_accounts_by_user DO NOTHING;
    RETURN account_grant(account_hold_row(p_user_id, p_currency), p_key, p_request_digest,
                         p_transfer_id, p_grant_id, p_amount, p_description, p_kind, p_priority,
                         p_effective_at, p_expires_at, v_principal.user_id);
END;
$$;
