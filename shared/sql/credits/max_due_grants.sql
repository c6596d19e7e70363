-- The most grants that are pending or will expire of one account. All that can fall due
-- of an account is posted by one statement, which a busy machine must get done within
-- its 1.5 seconds, or nobody could use the account until the machine is quiet.
--
-- 200 holds, of which each can be released into grants that have expired, and 150 grants
-- are at most 200 + 200 + 150 = 550 transfers. Posting 500 of them took 0.3 seconds on two
-- cores with a load of 7, and working them out 0.03.
CREATE OR REPLACE FUNCTION max_due_grants() RETURNS bigint LANGUAGE sql IMMUTABLE RETURN 150;
