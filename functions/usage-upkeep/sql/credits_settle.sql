-- Posts what has fallen due of the accounts that have waited longest, in every currency, so
-- that no read has to work it out again, and says of how many. Each is a transaction of its
-- own: it holds one account for as long as a spend would, and takes the totals of one shard. An
-- account that somebody else holds is being settled by them.
CREATE OR REPLACE PROCEDURE credits_settle(p_digest bytea, INOUT p_answer text)
LANGUAGE plpgsql AS $$
DECLARE
    v_currencies text[];
    v_currency text;
    v_account credit_accounts;
    v_count integer := 0;
    v_now timestamptz := clock_timestamp();
    v_until timestamptz := v_now + max_settling_time();
BEGIN
    p_answer := refusal(authenticate(p_digest), 'usage:upkeep');
    IF p_answer IS NOT NULL THEN
        RETURN;
    END IF;
    v_currencies := ARRAY(SELECT DISTINCT currency FROM credit_liabilities);
    FOREACH v_currency IN ARRAY v_currencies LOOP
        WHILE v_now < v_until LOOP
            SELECT * INTO v_account FROM credit_accounts
             WHERE currency = v_currency AND next_due_at < 'infinity' AND next_due_at <= v_now
             ORDER BY next_due_at LIMIT 1
               FOR NO KEY UPDATE SKIP LOCKED;
            EXIT WHEN NOT FOUND;
            PERFORM account_settle(v_account, v_now);
            COMMIT; -- Of this account: whoever waits for it goes on.
            v_count := v_count + 1;
            v_now := clock_timestamp();
        END LOOP;
    END LOOP;
    p_answer := json_build_object('settled_accounts', v_count);
END;
$$;
