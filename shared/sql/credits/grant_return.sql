-- Puts an amount back into a grant, which may open it again.
CREATE OR REPLACE FUNCTION grant_return(
    p_organization_id uuid, p_grant_id uuid, p_amount numeric, p_from_hold boolean
) RETURNS void
LANGUAGE sql AS $$
    UPDATE credit_grants
       SET remaining = remaining + p_amount,
           held = held - CASE WHEN p_from_hold THEN p_amount ELSE 0 END,
           state = 'open'
     WHERE organization_id = p_organization_id AND id = p_grant_id
$$;
