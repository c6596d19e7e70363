-- The grants of an account that change by what has fallen due of it by p_now, as they are then.
CREATE OR REPLACE FUNCTION grants_due(p_account credit_accounts, p_now timestamptz) RETURNS SETOF credit_grants
LANGUAGE sql STABLE AS $$
    WITH due AS MATERIALIZED (
        SELECT d.kind, d.amount, d.grant_id, d.hold_id FROM account_due(p_account, p_now) d
    ), changes AS (
        SELECT c.grant_id, sum(c.returned) AS returned, sum(c.ended) AS ended
          FROM (SELECT p.grant_id, p.amount AS returned, 0 AS ended
                  FROM due d
                  JOIN credit_hold_parts p
                    ON p.organization_id = (p_account).organization_id AND p.hold_id = d.hold_id
                UNION ALL
                SELECT d.grant_id, 0, CASE WHEN d.kind = 'activate' THEN 0 ELSE d.amount END
                  FROM due d WHERE d.grant_id IS NOT NULL) c
         GROUP BY c.grant_id
    )
    SELECT g.organization_id, g.id, g.account_id, g.sequence, g.kind, g.priority, g.amount,
           (g.remaining + c.returned - c.ended)::numeric(27,9), (g.held - c.returned)::numeric(27,9),
           g.effective_at, g.expires_at,
           CASE WHEN g.remaining + c.returned - c.ended > 0 THEN 'open' ELSE 'closed' END::credit_grant_state,
           g.voided_at, g.description, g.created_at
      FROM changes c
      JOIN credit_grants g ON g.organization_id = (p_account).organization_id AND g.id = c.grant_id
$$;
