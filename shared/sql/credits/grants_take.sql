-- Takes an amount out of the account's open grants, in the order in which they
-- are spent: lowest priority, then earliest expiry, then oldest. p_held says
-- whether it stays with them as held. The caller has seen that there is enough.
CREATE OR REPLACE FUNCTION grants_take(
    p_organization_id uuid, p_account_id uuid, p_amount numeric, p_is_hold boolean
)
RETURNS TABLE (grant_id uuid, amount numeric, part integer)
LANGUAGE plpgsql AS $$
DECLARE
    v_left numeric := p_amount;
    v_grant record;
    v_part numeric;
    v_position integer := 0;
BEGIN
    FOR v_grant IN
        SELECT g.id, g.remaining, g.held FROM credit_grants g
         WHERE g.organization_id = p_organization_id AND g.account_id = p_account_id AND g.state = 'open'
         ORDER BY g.priority, g.expires_at, g.sequence
    LOOP
        EXIT WHEN v_left <= 0;
        v_part := least(v_left, v_grant.remaining);
        UPDATE credit_grants g
           SET remaining = g.remaining - v_part,
               held = g.held + CASE WHEN p_is_hold THEN v_part ELSE 0 END,
               state = CASE WHEN g.remaining = v_part THEN 'closed' ELSE 'open' END::credit_grant_state
         WHERE g.organization_id = p_organization_id AND g.id = v_grant.id;
        v_left := v_left - v_part;
        v_position := v_position + 1;
        grant_id := v_grant.id;
        amount := v_part;
        part := v_position;
        RETURN NEXT;
    END LOOP;
    IF v_left > 0 THEN
        RAISE EXCEPTION 'account % has % less in its grants than its balance says', p_account_id, v_left
              USING ERRCODE = 'TP003';
    END IF;
END;
$$;
