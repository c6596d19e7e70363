-- An account as it is at p_now, whether or not what has fallen due by then is posted. Where
-- nothing has, and for no account, it is the row as it was read.
CREATE OR REPLACE FUNCTION account_as_of(p_account credit_accounts, p_now timestamptz) RETURNS credit_accounts
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_account credit_accounts := p_account;
BEGIN
    IF p_account.next_due_at > p_now OR p_account.id IS NULL THEN
        RETURN p_account;
    END IF;
    SELECT p_account.pending - coalesce(sum(d.amount) FILTER (WHERE d.kind = 'activate'), 0),
           p_account.held - coalesce(sum(d.amount) FILTER (WHERE d.kind = 'release'), 0),
           p_account.issued + coalesce(sum(d.amount) FILTER (WHERE d.kind = 'void'), 0),
           p_account.expired + coalesce(sum(d.amount) FILTER (WHERE d.kind = 'expire'), 0),
           p_account.available + coalesce(sum(CASE WHEN d.kind IN ('activate', 'release') THEN d.amount
                                                   ELSE -d.amount END), 0),
           p_account.sequence + count(*), greatest(p_account.last_occurred_at, max(d.occurred_at))
      INTO v_account.pending, v_account.held, v_account.issued, v_account.expired, v_account.available,
           v_account.sequence, v_account.last_occurred_at
      FROM account_due(p_account, p_now) d;
    SELECT least(
               -- Of the grants and holds that nothing was due of.
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
               -- Of those that have begun, or opened again.
               (SELECT min(g.expires_at) FROM grants_due(p_account, p_now) g
                 WHERE g.state = 'open' AND g.expires_at < 'infinity'),
               'infinity')
      INTO v_account.next_due_at;
    RETURN v_account;
END;
$$;
