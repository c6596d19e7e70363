-- Spends from the pool of the token's organization, within the caller's allocation, for one
-- request.
CREATE OR REPLACE FUNCTION credit_pool_consume(
    p_digest bytea, p_key text, p_request_digest bytea, p_transfer_id uuid,
    p_organization_id uuid, p_currency text, p_amount numeric, p_description text,
    p_service text DEFAULT NULL, p_model text DEFAULT NULL
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := organization_refusal(v_principal, p_organization_id, 'pool:consume');
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    RETURN (account_consume(p_organization_id, NULL, p_currency, ARRAY[ROW(
        NULL, v_principal.user_id, p_key, p_request_digest, p_transfer_id, p_amount, p_description,
        p_service, p_model)::credit_spend]))[1];
END;
$$;
