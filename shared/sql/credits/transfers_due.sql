-- p_due, what has fallen due of an account, as the transfers that account_settle posts, each with
-- the grant that begins or ends, or the hold that lapses.
CREATE OR REPLACE FUNCTION transfers_due(p_account credit_accounts, p_due credit_due[])
RETURNS TABLE (transfer ledger_transfers, grant_id uuid, hold_id uuid)
LANGUAGE sql STABLE AS $$
    SELECT ROW(p_account.organization_id,
               due_transfer_id(
                   p_account.organization_id, d.due_at,
                   concat_ws(' ', d.kind, d.grant_id, d.hold_id, d.cause_id,
                             -- A refund can give back to a grant that has ended, again and again. A
                             -- hold lapses once.
                             CASE WHEN d.cause_id IS NULL AND d.due_at <= p_account.last_occurred_at
                                  THEN p_account.sequence END)),
               p_account.id, p_account.sequence + d.number, d.kind,
               CASE d.kind WHEN 'activate' THEN 'pending' WHEN 'release' THEN 'held' ELSE 'available' END::credit_bucket,
               CASE d.kind WHEN 'void' THEN 'issued' WHEN 'expire' THEN 'expired' ELSE 'available' END::credit_bucket,
               d.amount::numeric(27,9), (p_account.available + d.change)::numeric(27,9),
               CASE d.kind WHEN 'activate' THEN 'effective' WHEN 'release' THEN 'hold expired'
                           WHEN 'void' THEN 'void' ELSE 'expired' END,
               NULL, NULL, NULL, NULL,
               -- It is there from that moment on, whenever it is posted.
               d.occurred_at, d.occurred_at, clock_timestamp())::ledger_transfers,
           d.grant_id, d.hold_id
      FROM unnest(p_due) d
     ORDER BY d.number
$$;
