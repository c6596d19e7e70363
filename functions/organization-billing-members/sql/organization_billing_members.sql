-- The members with what each may take and has taken, in one currency or in all, the latest joined
-- first: one more than the page holds if there is one.
CREATE OR REPLACE FUNCTION organization_billing_members(
    p_digest bytea, p_organization_id uuid, p_currency text, p_limit integer, p_before bigint
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := organization_refusal(v_principal, p_organization_id, 'billing:read');
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    RETURN (
        SELECT coalesce(json_agg(json_build_object(
                   'user_id', prefixed_id('usr_', m.user_id), 'email', u.email, 'role', m.role,
                   'allocations', coalesce(s.allocations, '[]'::json),
                   'sequence', m.sequence) ORDER BY m.sequence DESC), '[]'::json)
          FROM (SELECT * FROM memberships
                 WHERE organization_id = p_organization_id AND sequence < p_before
                 ORDER BY sequence DESC LIMIT p_limit + 1) m
          JOIN users u ON u.id = m.user_id
         CROSS JOIN LATERAL (
              SELECT json_agg(allocation_json(a, clock_timestamp()) ORDER BY a.currency) AS allocations
                FROM credit_pool_allocations a
               WHERE a.organization_id = p_organization_id AND a.user_id = m.user_id
                 AND (p_currency IS NULL OR a.currency = p_currency)) s);
END;
$$;
