-- Holds an account until the transaction ends: any for the platform, one of the principal's
-- organization for others; null if there is none. With a parent that it is to have, both are held,
-- in one order, so that no chain of parents comes of changes at once.
CREATE OR REPLACE FUNCTION billing_account_hold(
    p_principal principal, p_id uuid, p_is_platform boolean, p_parent_id uuid
) RETURNS billing_accounts
LANGUAGE plpgsql AS $$
DECLARE
    v_account billing_accounts;
    v_id uuid;
BEGIN
    IF p_parent_id IS NOT NULL AND p_is_platform THEN
        FOREACH v_id IN ARRAY ARRAY[least(p_id, p_parent_id), greatest(p_id, p_parent_id)] LOOP
            PERFORM 1 FROM billing_accounts WHERE id = v_id FOR NO KEY UPDATE;
        END LOOP;
    END IF;
    IF p_is_platform THEN
        SELECT * INTO v_account FROM billing_accounts WHERE id = p_id FOR NO KEY UPDATE;
    ELSE
        SELECT * INTO v_account FROM billing_accounts
         WHERE organization_id = (p_principal).organization_id AND id = p_id FOR NO KEY UPDATE;
    END IF;
    RETURN v_account;
END;
$$;
