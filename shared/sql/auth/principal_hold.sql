-- Who asks, with their row held until the transaction ends. Whatever ends sessions of a person, and
-- what is pending of them, holds the row too: so a caller who waited for an end finds that they are
-- nobody by now, and what a caller makes first is there to be ended.
--
-- Whoever holds an organization's row as well holds it before this.
CREATE OR REPLACE FUNCTION principal_hold(p_digest bytea) RETURNS principal
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
BEGIN
    IF v_principal.user_id IS NULL THEN
        RETURN v_principal;
    END IF;
    PERFORM 1 FROM users WHERE id = v_principal.user_id FOR NO KEY UPDATE;
    RETURN authenticate(p_digest);
END;
$$;
