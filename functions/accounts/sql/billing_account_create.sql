-- Makes an account as an item says, and its organization where it is not a person's. Safe to send
-- twice: the id is the caller's. See billing_account_apply.
CREATE OR REPLACE FUNCTION billing_account_create(p_digest bytea, p_item jsonb) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'accounts:manage');
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    RETURN billing_account_apply_audited(v_principal, p_item, true);
END;
$$;
