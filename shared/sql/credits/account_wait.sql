-- Waits until it is this transaction's turn to change an account, that of a person or, without one,
-- the pool. Whoever waits for a row can be passed by newcomers, and some past the time that a
-- statement may wait. This lock is given in the order in which it was asked for, and ends with the
-- transaction. It orders, and protects nothing: the row's lock does.
CREATE OR REPLACE FUNCTION account_wait(p_organization_id uuid, p_user_id uuid, p_currency text) RETURNS void
LANGUAGE sql
RETURN pg_advisory_xact_lock(hashtextextended(
    concat_ws(' ', 'credit_accounts', p_organization_id, p_user_id, p_currency), 0));
