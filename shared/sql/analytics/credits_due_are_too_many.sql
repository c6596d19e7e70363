-- Whether more accounts are due than a read can work out.
CREATE OR REPLACE FUNCTION credits_due_are_too_many(p_currency text, p_now timestamptz) RETURNS boolean
LANGUAGE sql STABLE
RETURN (SELECT count(*) FROM (
    SELECT 1 FROM credit_accounts
     WHERE currency = p_currency AND next_due_at < 'infinity' AND next_due_at <= p_now
     ORDER BY next_due_at LIMIT max_accounts_due() + 1) due) > max_accounts_due();
