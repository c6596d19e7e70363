-- Every way in which the ledger could be wrong, one row each; none is right.
CREATE OR REPLACE FUNCTION ledger_violations() RETURNS TABLE (account_id uuid, violation text)
LANGUAGE sql STABLE AS $$
    WITH sums AS (
        SELECT e.organization_id, e.account_id,
               sum(amount) AS total,
               sum(amount) FILTER (WHERE bucket = 'issued')    AS issued,
               sum(amount) FILTER (WHERE bucket = 'pending')   AS pending,
               sum(amount) FILTER (WHERE bucket = 'available') AS available,
               sum(amount) FILTER (WHERE bucket = 'held')      AS held,
               sum(amount) FILTER (WHERE bucket = 'consumed')  AS consumed,
               sum(amount) FILTER (WHERE bucket = 'expired')   AS expired
          FROM ledger_entries e GROUP BY e.organization_id, e.account_id
    ), grants AS (
        SELECT g.organization_id, g.account_id,
               coalesce(sum(remaining) FILTER (WHERE state = 'pending'), 0) AS pending,
               coalesce(sum(remaining) FILTER (WHERE state <> 'pending'), 0) AS available,
               coalesce(sum(held), 0) AS held
          FROM credit_grants g GROUP BY g.organization_id, g.account_id
    ), moved AS (
        SELECT m.organization_id, m.grant_id,
               sum(CASE WHEN t.credited IN ('pending', 'available') THEN m.amount ELSE 0 END)
               - sum(CASE WHEN t.debited IN ('pending', 'available') THEN m.amount ELSE 0 END) AS remaining,
               sum(CASE WHEN t.credited = 'held' THEN m.amount ELSE 0 END)
               - sum(CASE WHEN t.debited = 'held' THEN m.amount ELSE 0 END) AS held
          FROM credit_movements m
          JOIN ledger_transfers t ON (t.organization_id, t.id) = (m.organization_id, m.transfer_id)
         GROUP BY m.organization_id, m.grant_id
    ), holds AS (
        SELECT h.organization_id, h.account_id, sum(h.amount) AS held
          FROM credit_holds h WHERE h.state = 'open' GROUP BY h.organization_id, h.account_id
    )
    SELECT a.id, 'a balance differs from the sum of its entries'
      FROM credit_accounts a LEFT JOIN sums s ON (s.organization_id, s.account_id) = (a.organization_id, a.id)
     WHERE (a.issued, a.pending, a.available, a.held, a.consumed, a.expired)
           IS DISTINCT FROM
           (coalesce(s.issued, 0), coalesce(s.pending, 0), coalesce(s.available, 0), coalesce(s.held, 0),
            coalesce(s.consumed, 0), coalesce(s.expired, 0))
    UNION ALL
    SELECT s.account_id, 'the entries do not sum to zero' FROM sums s WHERE s.total <> 0
    UNION ALL
    SELECT a.id, 'the grants do not add up to the balance'
      FROM credit_accounts a LEFT JOIN grants g ON (g.organization_id, g.account_id) = (a.organization_id, a.id)
     WHERE (a.pending, a.available, a.held)
           IS DISTINCT FROM (coalesce(g.pending, 0), coalesce(g.available, 0), coalesce(g.held, 0))
    UNION ALL
    SELECT a.id, 'the open holds do not add up to what is held'
      FROM credit_accounts a LEFT JOIN holds h ON (h.organization_id, h.account_id) = (a.organization_id, a.id)
     WHERE a.held <> coalesce(h.held, 0)
    UNION ALL
    SELECT t.account_id, 'a transfer moved other amounts of grants than its own'
      FROM ledger_transfers t
      LEFT JOIN (SELECT organization_id, transfer_id, sum(amount) AS amount
                   FROM credit_movements GROUP BY organization_id, transfer_id) m
             ON (m.organization_id, m.transfer_id) = (t.organization_id, t.id)
     WHERE t.amount <> coalesce(m.amount, 0)
    UNION ALL
    SELECT g.account_id, 'a grant differs from the sum of its movements'
      FROM credit_grants g LEFT JOIN moved m ON (m.organization_id, m.grant_id) = (g.organization_id, g.id)
     WHERE (g.remaining, g.held) IS DISTINCT FROM (m.remaining, m.held)
    UNION ALL
    SELECT a.id, 'transfers are missing or out of sequence'
      FROM credit_accounts a
      LEFT JOIN (SELECT t.organization_id, t.account_id, count(*) AS transfers, max(t.sequence) AS last
                   FROM ledger_transfers t GROUP BY t.organization_id, t.account_id) t
             ON (t.organization_id, t.account_id) = (a.organization_id, a.id)
     WHERE a.sequence <> coalesce(t.transfers, 0) OR a.sequence <> coalesce(t.last, 0)
    UNION ALL
    SELECT t.account_id, 'a running balance is wrong'
      FROM (SELECT l.account_id, l.available_after,
                   sum(CASE WHEN l.credited = 'available' THEN l.amount
                            WHEN l.debited = 'available' THEN -l.amount
                            ELSE 0 END)
                       OVER (PARTITION BY l.organization_id, l.account_id ORDER BY l.sequence) AS running
              FROM ledger_transfers l) t
     WHERE t.available_after <> t.running
    UNION ALL
    SELECT coalesce(u.account_id, t.account_id), 'the usage of a day differs from its transfers'
      FROM credit_usage_daily u
      FULL JOIN (SELECT l.organization_id, l.account_id, utc_day(coalesce(l.occurred_at, l.created_at)) AS day,
                        coalesce(l.service, '') AS service, coalesce(l.model, '') AS model,
                        coalesce(sum(l.amount) FILTER (WHERE l.credited = 'consumed'), 0) AS spent,
                        coalesce(sum(l.amount) FILTER (WHERE l.debited = 'consumed'), 0) AS refunded,
                        count(*) FILTER (WHERE l.credited = 'consumed') AS spends,
                        count(*) FILTER (WHERE l.debited = 'consumed') AS refunds
                   FROM ledger_transfers l
                  WHERE l.credited = 'consumed' OR l.debited = 'consumed'
                  GROUP BY 1, 2, 3, 4, 5) t
             ON (t.organization_id, t.account_id, t.day, t.service, t.model)
                = (u.organization_id, u.account_id, u.day, u.service, u.model)
     WHERE (u.spent, u.refunded, u.spends, u.refunds) IS DISTINCT FROM (t.spent, t.refunded, t.spends, t.refunds)
    UNION ALL
    SELECT i.account_id, 'the id of ' || i.what || ' does not lead to its organization'
      FROM (SELECT organization_id, id, id AS account_id, 'an account' AS what FROM credit_accounts
            UNION ALL
            SELECT organization_id, id, t.account_id, 'a transfer' FROM ledger_transfers t
            UNION ALL
            SELECT organization_id, id, g.account_id, 'a grant' FROM credit_grants g
            UNION ALL
            SELECT organization_id, id, h.account_id, 'a hold' FROM credit_holds h) i
     WHERE id_slot(i.id) <> id_slot(i.organization_id)
$$;
