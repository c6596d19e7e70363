-- Puts an amount back into a grant, which may open it again. Returns when what came back ends with
-- the grant, which may be over already; infinity if it does not.
CREATE OR REPLACE FUNCTION grant_return(
    p_organization_id uuid, p_grant_id uuid, p_amount numeric, p_from_hold boolean
) RETURNS timestamptz
LANGUAGE sql AS $$
    UPDATE credit_grants
       SET remaining = remaining + p_amount,
           held = held - CASE WHEN p_from_hold THEN p_amount ELSE 0 END,
           state = 'open'
     WHERE organization_id = p_organization_id AND id = p_grant_id
    RETURNING least(voided_at, expires_at)
$$;
