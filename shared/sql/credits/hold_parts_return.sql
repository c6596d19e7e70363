-- Gives a hold's parts back to their grants, from the last one taken, until p_amount is returned;
-- the rest of each part is left for the caller. Returns when the first of these grants ends, as
-- grant_return.
CREATE OR REPLACE FUNCTION hold_parts_return(
    p_organization_id uuid, p_hold_id uuid, p_transfer_id uuid, p_amount numeric
) RETURNS timestamptz
LANGUAGE plpgsql AS $$
DECLARE
    v_left numeric := p_amount;
    v_part record;
    v_return numeric;
    v_ends_at timestamptz := timestamptz 'infinity';
BEGIN
    FOR v_part IN
        SELECT * FROM credit_hold_parts
         WHERE organization_id = p_organization_id AND hold_id = p_hold_id
         ORDER BY position DESC
    LOOP
        EXIT WHEN v_left <= 0;
        v_return := least(v_left, v_part.amount);
        v_ends_at := least(v_ends_at, grant_return(p_organization_id, v_part.grant_id, v_return, true));
        INSERT INTO credit_movements (organization_id, transfer_id, grant_id, amount, position)
        VALUES (p_organization_id, p_transfer_id, v_part.grant_id, v_return, v_part.position);
        v_left := v_left - v_return;
    END LOOP;
    RETURN v_ends_at;
END;
$$;
