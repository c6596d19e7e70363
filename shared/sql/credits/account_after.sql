-- An account as it is once p_due, all that has fallen due of it by p_now, is posted. p_changed is
-- what that makes of its grants.
CREATE OR REPLACE FUNCTION account_after(
    p_account credit_accounts, p_now timestamptz, p_due credit_due[], p_changed credit_grants[]
) RETURNS credit_accounts
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_account credit_accounts := p_account;
BEGIN
    SELECT p_account.pending - coalesce(sum(d.amount) FILTER (WHERE d.kind = 'activate'), 0),
           p_account.held - coalesce(sum(d.amount) FILTER (WHERE d.kind = 'release'), 0),
           p_account.issued + coalesce(sum(d.amount) FILTER (WHERE d.kind = 'void'), 0),
           p_account.expired + coalesce(sum(d.amount) FILTER (WHERE d.kind = 'expire'), 0),
           p_account.available + coalesce(sum(CASE WHEN d.kind IN ('activate', 'release') THEN d.amount
                                                   ELSE -d.amount END), 0),
           p_account.sequence + count(*), greatest(p_account.last_occurred_at, max(d.occurred_at))
      INTO v_account.pending, v_account.held, v_account.issued, v_account.expired, v_account.available,
           v_account.sequence, v_account.last_occurred_at
      FROM unnest(p_due) d;
    -- Of the grants and holds that nothing was due of, and of the grants that have begun or
    -- opened again.
    v_account.next_due_at := least(
        account_next_due_at(p_account, p_now),
        (SELECT min(g.expires_at) FROM unnest(p_changed) g WHERE g.state = 'open'));
    RETURN v_account;
END;
$$;
