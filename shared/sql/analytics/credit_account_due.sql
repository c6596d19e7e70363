-- What account_settle would post of an account, without posting it. It posts in
-- the order in which things fell due, none before the account's last transfer,
-- and what a hold gives back to a grant that has ended goes when the hold did.
CREATE OR REPLACE FUNCTION credit_account_due(
    p_organization_id uuid, p_account_id uuid, p_last_occurred_at timestamptz, p_now timestamptz
)
RETURNS TABLE (kind text, occurred_at timestamptz, amount numeric)
LANGUAGE sql STABLE AS $$
    SELECT 'activate', greatest(g.effective_at, p_last_occurred_at), g.remaining
      FROM credit_grants g
     WHERE g.organization_id = p_organization_id AND g.account_id = p_account_id AND g.state = 'pending' AND g.effective_at <= p_now
    UNION ALL
    SELECT 'expire', greatest(g.expires_at, p_last_occurred_at), g.remaining
      FROM credit_grants g
     WHERE g.organization_id = p_organization_id AND g.account_id = p_account_id AND g.state = 'pending' AND g.effective_at <= p_now AND g.expires_at <= p_now
    UNION ALL
    SELECT 'expire', greatest(g.expires_at, p_last_occurred_at), g.remaining
      FROM credit_grants g
     WHERE g.organization_id = p_organization_id AND g.account_id = p_account_id AND g.state = 'open' AND g.expires_at < 'infinity' AND g.expires_at <= p_now
    UNION ALL
    SELECT 'release', greatest(h.expires_at, p_last_occurred_at), h.amount
      FROM credit_holds h
     WHERE h.organization_id = p_organization_id AND h.account_id = p_account_id AND h.state = 'open' AND h.expires_at <= p_now
    UNION ALL
    SELECT CASE WHEN g.voided_at <= g.expires_at THEN 'void' ELSE 'expire' END,
           greatest(h.expires_at, least(g.voided_at, g.expires_at), p_last_occurred_at), p.amount
      FROM credit_holds h
      JOIN credit_hold_parts p ON (p.organization_id, p.hold_id) = (h.organization_id, h.id)
      JOIN credit_grants g ON (g.organization_id, g.id) = (p.organization_id, p.grant_id)
     WHERE h.organization_id = p_organization_id AND h.account_id = p_account_id AND h.state = 'open' AND h.expires_at <= p_now
       AND (g.voided_at IS NOT NULL OR g.expires_at <= p_now)
$$;
