-- Counts a failure against the account and the address, and gives back the lease of
-- the hash that did not match. Failures older than an hour are forgotten.
--
-- Guesses that were under way together all pass before the first of them is counted.
-- How many those can be is bounded by how many hashes the hosts compute at once.
-- Counting them beforehand would lock out whoever signs in from many places at the
-- same moment.
CREATE OR REPLACE FUNCTION auth_login_failed(
    p_email text, p_address text, p_account_free integer, p_address_free integer, p_lease_id uuid DEFAULT NULL
) RETURNS void
LANGUAGE sql AS $$
    SELECT hash_lease_release(p_lease_id);
    INSERT INTO login_attempts AS a (subject, failures, last_failed, locked_until)
    SELECT subject, 1, now(), now() + login_delay(1, free)
      FROM (VALUES ('account:' || p_email, p_account_free), ('address:' || p_address, p_address_free)) t (subject, free)
     ORDER BY subject
    ON CONFLICT (subject) DO UPDATE
       SET failures = CASE WHEN a.last_failed < now() - interval '1 hour' THEN 1 ELSE a.failures + 1 END,
           last_failed = now(),
           locked_until = now() + login_delay(
               CASE WHEN a.last_failed < now() - interval '1 hour' THEN 1 ELSE a.failures + 1 END,
               CASE WHEN a.subject LIKE 'account:%' THEN p_account_free ELSE p_address_free END)
$$;
