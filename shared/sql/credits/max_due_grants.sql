-- The most grants that are pending or will expire of one account; account_grants_count says which
-- count. All that can fall due of an account is posted by one statement, which a busy machine must
-- get done within its 1.5 seconds, or nobody could use the account until the machine is quiet.
--
-- 150 grants and 200 holds, which hold some 350 parts of them, are 200 releases, 350 returns to
-- grants that have ended, and 150 ends: 700 transfers. Posting 750 took 0.14 seconds on two cores
-- with a load of 4, and 500 took 0.3 with one of 7. Working them out took 0.03.
CREATE OR REPLACE FUNCTION max_due_grants() RETURNS bigint LANGUAGE sql IMMUTABLE RETURN 150;
