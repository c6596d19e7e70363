-- Writes spends of a locked account: the account's row as they leave it, their transfers, the
-- parts that they take of grants, and what they add to the usage of their day.
--
-- The grants are walked once, for all of it. Laid end to end, the spends and the parts taken of
-- grants cover the same range; a spend has taken of a grant what the two have in common.
CREATE OR REPLACE FUNCTION spends_post(p_account credit_accounts, p_transfers ledger_transfers[]) RETURNS void
LANGUAGE plpgsql
-- The plans are alike for one spend and for many, and to plan takes longer than to post.
SET plan_cache_mode = force_generic_plan
AS $$
BEGIN
    UPDATE credit_accounts
       SET available = p_account.available, consumed = p_account.consumed, sequence = p_account.sequence,
           last_occurred_at = p_account.last_occurred_at
     WHERE organization_id = p_account.organization_id AND id = p_account.id;
    INSERT INTO ledger_transfers SELECT t.* FROM unnest(p_transfers) t;
    INSERT INTO credit_usage_daily AS u (organization_id, account_id, day, service, model, spent, spends)
    SELECT p_account.organization_id, p_account.id, utc_day(t.occurred_at), coalesce(t.service, ''),
           coalesce(t.model, ''), sum(t.amount), count(*)
      FROM unnest(p_transfers) t
     GROUP BY 3, 4, 5
    ON CONFLICT ON CONSTRAINT credit_usage_daily_pkey
    DO UPDATE SET spent = u.spent + EXCLUDED.spent, spends = u.spends + EXCLUDED.spends;
    WITH taken AS MATERIALIZED (
        SELECT g.grant_id, g.part, g.amount, sum(g.amount) OVER (ORDER BY g.part) AS until
          FROM grants_take(p_account.organization_id, p_account.id,
                           (SELECT sum(t.amount) FROM unnest(p_transfers) t), false) g
    ), spent AS (
        SELECT t.id, t.amount, sum(t.amount) OVER (ORDER BY t.sequence) AS until FROM unnest(p_transfers) t
    )
    INSERT INTO credit_movements (organization_id, transfer_id, grant_id, amount, position)
    SELECT p_account.organization_id, s.id, g.grant_id,
           least(s.until, g.until) - greatest(s.until - s.amount, g.until - g.amount),
           row_number() OVER (PARTITION BY s.id ORDER BY g.part)
      FROM spent s JOIN taken g ON g.until > s.until - s.amount AND g.until - g.amount < s.until;
END;
$$;
