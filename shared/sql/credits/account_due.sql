-- What has fallen due of an account by p_now and is not posted, numbered in the order in which
-- it came to pass: by the moment, and of one moment what begins, what holds give back, what was
-- voided, and what expires.
--
-- Whatever shows or posts what is due has it from here, so that all agree. It is a query, and
-- no more, so that the planner takes it into the statements that ask.
--
-- What is looked up by its id within the organization is looked up for each row alone, by LIMIT
-- or OFFSET 0. A join could read all rows of the organization, because the planner takes every
-- organization for a small one.
--
-- A grant ends when it was voided, or else when it expires. It ends with all that it has by then.
-- What a hold gives back to it later goes at once, right after the hold, in a transfer of its own.
CREATE OR REPLACE FUNCTION account_due(p_account credit_accounts, p_now timestamptz)
RETURNS SETOF credit_due
LANGUAGE sql STABLE AS $$
    WITH lapsed AS (
        SELECT h.id, h.amount, h.expires_at
          FROM credit_holds h
         WHERE h.organization_id = (p_account).organization_id AND h.account_id = (p_account).id
           AND h.state = 'open' AND h.expires_at <= p_now
    ), parts AS (
        SELECT l.id AS hold_id, l.expires_at AS returned_at, p.grant_id, p.amount
          FROM lapsed l
         CROSS JOIN LATERAL (SELECT o.grant_id, o.amount FROM credit_hold_parts o
                              WHERE o.organization_id = (p_account).organization_id AND o.hold_id = l.id
                             OFFSET 0) p
    ), touched AS (
        -- A branch for each index.
        SELECT g.id, g.state, g.remaining, g.effective_at, g.expires_at, g.voided_at FROM credit_grants g
         WHERE g.organization_id = (p_account).organization_id AND g.account_id = (p_account).id
           AND g.state = 'pending' AND g.effective_at <= p_now
        UNION
        SELECT g.id, g.state, g.remaining, g.effective_at, g.expires_at, g.voided_at FROM credit_grants g
         WHERE g.organization_id = (p_account).organization_id AND g.account_id = (p_account).id
           AND g.state = 'open' AND g.expires_at < 'infinity' AND g.expires_at <= p_now
        UNION
        SELECT g.id, g.state, g.remaining, g.effective_at, g.expires_at, g.voided_at FROM credit_grants g
         WHERE g.organization_id = (p_account).organization_id AND g.account_id = (p_account).id
           AND g.state = 'open' AND g.voided_at IS NOT NULL
        UNION
        SELECT g.id, g.state, g.remaining, g.effective_at, g.expires_at, g.voided_at
          FROM (SELECT DISTINCT grant_id FROM parts) p
         CROSS JOIN LATERAL (SELECT * FROM credit_grants o
                              WHERE o.organization_id = (p_account).organization_id AND o.id = p.grant_id
                              LIMIT 1) g
    ), ends AS (
        SELECT t.*,
               CASE WHEN t.voided_at <= t.expires_at THEN 'void' ELSE 'expire' END AS kind,
               CASE WHEN t.voided_at <= t.expires_at THEN t.voided_at
                    WHEN t.expires_at <= p_now THEN t.expires_at END AS ended_at,
               CASE WHEN t.voided_at <= t.expires_at THEN 3 ELSE 4 END AS rank
          FROM touched t
    ), events AS (
        -- after_*: what it follows at once, or itself.
        SELECT 'activate' AS kind, e.id AS grant_id, NULL::uuid AS hold_id, e.remaining AS amount,
               e.effective_at AS due_at, 1 AS rank,
               e.effective_at AS after_at, 1 AS after_rank, e.id AS after_id, false AS follows
          FROM ends e WHERE e.state = 'pending'
        UNION ALL
        SELECT 'release', NULL, l.id, l.amount, l.expires_at, 2, l.expires_at, 2, l.id, false FROM lapsed l
        UNION ALL
        SELECT e.kind, e.id, NULL, e.remaining + coalesce(sum(p.amount), 0), e.ended_at, e.rank,
               e.ended_at, e.rank, e.id, false
          FROM ends e LEFT JOIN parts p ON p.grant_id = e.id AND p.returned_at <= e.ended_at
         WHERE e.ended_at IS NOT NULL
         GROUP BY e.kind, e.id, e.remaining, e.ended_at, e.rank
        HAVING e.remaining + coalesce(sum(p.amount), 0) > 0
        UNION ALL
        SELECT e.kind, e.id, NULL, p.amount, e.ended_at, e.rank, p.returned_at, 2, p.hold_id, true
          FROM ends e JOIN parts p ON p.grant_id = e.id AND p.returned_at > e.ended_at
    )
    SELECT row_number() OVER in_order, e.kind, e.grant_id, e.hold_id, CASE WHEN e.follows THEN e.after_id END, e.amount,
           e.due_at, greatest((p_account).last_occurred_at, max(e.due_at) OVER in_order),
           sum(CASE WHEN e.kind IN ('activate', 'release') THEN e.amount ELSE -e.amount END) OVER in_order
      FROM events e
    WINDOW in_order AS (ORDER BY e.after_at, e.after_rank, e.after_id, e.follows, e.due_at, e.rank, e.grant_id
                        ROWS UNBOUNDED PRECEDING)
$$;
