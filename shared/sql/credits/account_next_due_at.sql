-- The first moment after p_now at which something falls due of an account, as its grants and holds
-- are written; infinity if nothing does.
CREATE OR REPLACE FUNCTION account_next_due_at(p_account credit_accounts, p_now timestamptz) RETURNS timestamptz
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN least(
        (SELECT min(g.effective_at) FROM credit_grants g
          WHERE g.organization_id = p_account.organization_id AND g.account_id = p_account.id
            AND g.state = 'pending' AND g.effective_at > p_now),
        (SELECT min(g.expires_at) FROM credit_grants g
          WHERE g.organization_id = p_account.organization_id AND g.account_id = p_account.id
            AND g.state = 'open' AND g.expires_at < 'infinity' AND g.expires_at > p_now
            AND g.voided_at IS NULL),
        (SELECT min(h.expires_at) FROM credit_holds h
          WHERE h.organization_id = p_account.organization_id AND h.account_id = p_account.id
            AND h.state = 'open' AND h.expires_at > p_now),
        'infinity');
END;
$$;
