-- What has lapsed of the accounts that are not settled, by the day on which it
-- did, one row for each grant.
CREATE OR REPLACE FUNCTION credits_lapsed(p_currency text, p_now timestamptz)
RETURNS TABLE (day date, kind text, amount numeric)
LANGUAGE sql STABLE AS $$
    SELECT utc_day(d.occurred_at), d.kind, d.amount
      FROM (SELECT organization_id, id, last_occurred_at FROM credit_accounts
             WHERE currency = p_currency AND next_due_at < 'infinity' AND next_due_at <= p_now
             ORDER BY next_due_at LIMIT max_accounts_due()) a
     CROSS JOIN LATERAL credit_account_due(a.organization_id, a.id, a.last_occurred_at, p_now) d
     WHERE d.kind IN ('expire', 'void')
$$;
