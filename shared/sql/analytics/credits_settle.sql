-- Posts what has fallen due of the accounts that have waited longest, so that
-- they are not worked out again by the next read. Each is a transaction of its
-- own: it holds one account for as long as a spend would, and takes the totals
-- of one shard. An account that somebody else holds is being settled by them.
CREATE OR REPLACE PROCEDURE credits_settle(p_currency text)
LANGUAGE plpgsql AS $$
DECLARE
    v_account credit_accounts;
    v_now timestamptz := clock_timestamp();
    v_until timestamptz := v_now + max_settling_time();
BEGIN
    FOR v_count IN 1..max_accounts_settled() LOOP
        SELECT * INTO v_account FROM credit_accounts
         WHERE currency = p_currency AND next_due_at < 'infinity' AND next_due_at <= v_now
         ORDER BY next_due_at LIMIT 1
           FOR NO KEY UPDATE SKIP LOCKED;
        EXIT WHEN NOT FOUND;
        PERFORM account_settle(v_account, v_now);
        COMMIT; -- Of this account: whoever waits for it goes on.
        v_now := clock_timestamp();
        EXIT WHEN v_now >= v_until;
    END LOOP;
END;
$$;
