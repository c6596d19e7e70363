-- Whether more is due in a currency than a read can work out; max_credits_due says what counts. The
-- count ends where it is too much.
CREATE OR REPLACE FUNCTION credits_due_are_too_many(p_currency text, p_now timestamptz) RETURNS boolean
LANGUAGE sql STABLE
RETURN (SELECT count(*) FROM (
    SELECT 1
      FROM (SELECT c.organization_id, c.id FROM credit_accounts c
             WHERE c.currency = p_currency AND c.next_due_at < 'infinity' AND c.next_due_at <= p_now
             ORDER BY c.next_due_at LIMIT max_credits_due() + 1) a
     CROSS JOIN LATERAL (
        SELECT 1
        UNION ALL
        SELECT 1 FROM credit_grants g
         WHERE g.organization_id = a.organization_id AND g.account_id = a.id
           AND g.state = 'pending' AND g.effective_at <= p_now
        UNION ALL
        SELECT 1 FROM credit_grants g
         WHERE g.organization_id = a.organization_id AND g.account_id = a.id
           AND g.state = 'open' AND g.expires_at < 'infinity' AND g.expires_at <= p_now
        UNION ALL
        SELECT 1 FROM credit_holds h
         CROSS JOIN LATERAL (SELECT 1 FROM credit_hold_parts p
                              WHERE p.organization_id = a.organization_id AND p.hold_id = h.id
                             OFFSET 0) part
         WHERE h.organization_id = a.organization_id AND h.account_id = a.id
           AND h.state = 'open' AND h.expires_at <= p_now) due
     LIMIT max_credits_due() + 1) counted) > max_credits_due();
