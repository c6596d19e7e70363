-- Posts what has fallen due of the accounts that have waited longest, in every currency, so
-- that no read has to work it out again, and says of how many. Each is a transaction of its
-- own: it holds one account for as long as a spend would, and takes the totals of one shard. An
-- account that somebody else holds is being settled by them. One that cannot be settled is
-- counted, named in the server's log, and passed over. So a few that fail stop no other.
CREATE OR REPLACE PROCEDURE credits_settle(p_digest bytea, INOUT p_answer text)
LANGUAGE plpgsql AS $$
DECLARE
    v_currency text;
    v_due record;
    v_account credit_accounts;
    v_settled integer := 0;
    v_failed integer := 0;
    v_now timestamptz := clock_timestamp();
    v_until timestamptz := v_now + max_settling_time();
BEGIN
    p_answer := refusal(authenticate(p_digest), 'usage:upkeep');
    IF p_answer IS NOT NULL THEN
        RETURN;
    END IF;
    FOREACH v_currency IN ARRAY ARRAY(SELECT DISTINCT currency FROM credit_liabilities) LOOP
        -- The list is that of before the first COMMIT. It has more than a call can settle.
        FOR v_due IN
            SELECT organization_id, id FROM credit_accounts
             WHERE currency = v_currency AND next_due_at < 'infinity' AND next_due_at <= v_now
             ORDER BY next_due_at LIMIT 10000
        LOOP
            EXIT WHEN v_now >= v_until;
            BEGIN
                SELECT * INTO v_account FROM credit_accounts
                 WHERE organization_id = v_due.organization_id AND id = v_due.id AND next_due_at <= v_now
                   FOR NO KEY UPDATE SKIP LOCKED;
                IF FOUND THEN
                    PERFORM account_settle(v_account, v_now);
                    v_settled := v_settled + 1;
                END IF;
            EXCEPTION WHEN OTHERS THEN
                v_failed := v_failed + 1;
                RAISE WARNING 'the credits of account % cannot be settled: % (%)', v_due.id, SQLERRM, SQLSTATE;
            END;
            COMMIT; -- Of this account: whoever waits for it goes on.
            v_now := clock_timestamp();
        END LOOP;
    END LOOP;
    p_answer := json_build_object('settled_accounts', v_settled, 'failed_accounts', v_failed);
END;
$$;
