-- What has lapsed of the accounts that are not settled, by the day on which it
-- did, one row for each transfer that settling will post.
CREATE OR REPLACE FUNCTION credits_lapsed(p_currency text, p_now timestamptz)
RETURNS TABLE (day date, kind text, amount numeric)
LANGUAGE sql STABLE AS $$
    SELECT utc_day(d.occurred_at), d.kind, d.amount
      FROM (SELECT c AS account FROM credit_accounts c
             WHERE c.currency = p_currency AND c.next_due_at < 'infinity' AND c.next_due_at <= p_now
             ORDER BY c.next_due_at LIMIT max_credits_due()) a
     CROSS JOIN LATERAL account_due(a.account, p_now) d
     WHERE d.kind IN ('expire', 'void')
$$;
