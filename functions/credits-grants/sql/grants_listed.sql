-- Grants of a person in an organization, in one currency or in all without one, as what has fallen
-- due by p_now leaves them. They come after the place p_after_* in the order of the list: newest
-- first, of one moment by currency, and of an account by their numbers, the highest first. A grant
-- was made when its transfer came to pass, so that times follow the numbers.
--
-- Of each account at most p_limit are read, and the caller takes the first p_limit of all.
CREATE OR REPLACE FUNCTION grants_listed(
    p_organization_id uuid, p_user_id uuid, p_currency text, p_now timestamptz, p_limit integer,
    p_after_at timestamptz, p_after_currency text, p_after_id uuid
) RETURNS TABLE (currency text, entry credit_grants)
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_account credit_accounts;
    v_after_sequence bigint;
    v_before bigint;
    v_changed credit_grants[];
BEGIN
    FOR v_account IN SELECT * FROM accounts_find(p_organization_id, p_user_id, p_currency) LOOP
        -- By the id alone, as in ledger_sequence_of.
        v_after_sequence := CASE WHEN v_account.currency = p_after_currency THEN (
            SELECT found.sequence
              FROM (SELECT g.sequence, g.account_id FROM credit_grants g
                     WHERE g.organization_id = v_account.organization_id AND g.id = p_after_id
                     LIMIT 1) found
             WHERE found.account_id = v_account.id) END;
        v_before := ledger_sequence_at_place(v_account, p_now, p_after_at, p_after_currency, v_after_sequence);
        v_changed := NULL;
        IF v_account.next_due_at <= p_now THEN
            v_changed := ARRAY(
                SELECT c FROM grants_due(v_account, ARRAY(SELECT d FROM account_due(v_account, p_now) d)) c);
        END IF;
        RETURN QUERY
            SELECT v_account.currency, coalesce((SELECT c FROM unnest(v_changed) c WHERE c.id = g.id), g)
              FROM credit_grants g
             WHERE g.organization_id = v_account.organization_id AND g.account_id = v_account.id
               AND g.sequence < v_before
             ORDER BY g.sequence DESC
             LIMIT p_limit;
    END LOOP;
END;
$$;
