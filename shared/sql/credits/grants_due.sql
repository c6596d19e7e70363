-- The grants of an account that change by p_due, what has fallen due of it, as they are then. What
-- is looked up by its id is looked up for each row alone, as in account_due.
CREATE OR REPLACE FUNCTION grants_due(p_account credit_accounts, p_due credit_due[]) RETURNS SETOF credit_grants
LANGUAGE sql STABLE AS $$
    WITH changes AS (
        SELECT c.grant_id, sum(c.returned) AS returned, sum(c.ended) AS ended
          FROM (SELECT p.grant_id, p.amount AS returned, 0 AS ended
                  FROM unnest(p_due) d
                 CROSS JOIN LATERAL (SELECT o.grant_id, o.amount FROM credit_hold_parts o
                                      WHERE o.organization_id = (p_account).organization_id AND o.hold_id = d.hold_id
                                     OFFSET 0) p
                 WHERE d.hold_id IS NOT NULL
                UNION ALL
                SELECT d.grant_id, 0, CASE WHEN d.kind = 'activate' THEN 0 ELSE d.amount END
                  FROM unnest(p_due) d WHERE d.grant_id IS NOT NULL) c
         GROUP BY c.grant_id
    )
    SELECT g.organization_id, g.id, g.account_id, g.sequence, g.kind, g.priority, g.amount,
           (g.remaining + c.returned - c.ended)::numeric(27,9), (g.held - c.returned)::numeric(27,9),
           g.effective_at, g.expires_at,
           CASE WHEN g.remaining + c.returned - c.ended > 0 THEN 'open' ELSE 'closed' END::credit_grant_state,
           g.voided_at, g.description, g.created_at
      FROM changes c
     CROSS JOIN LATERAL (SELECT * FROM credit_grants o
                          WHERE o.organization_id = (p_account).organization_id AND o.id = c.grant_id
                          LIMIT 1) g
$$;
