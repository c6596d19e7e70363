-- Gives the lease back, and takes back the count of a guess that turned out to be none:
-- nothing was verified, or it was right and something else was missing.
CREATE OR REPLACE FUNCTION guess_withdraw(p_lease_id uuid, p_subject text) RETURNS void
LANGUAGE sql AS $$
    WITH released AS (DELETE FROM hash_leases WHERE id = p_lease_id RETURNING id)
    UPDATE login_attempts
       SET failures = failures - 1,
           -- It is the newest guess that the wait belongs to.
           locked_until = CASE WHEN last_guess_id <> p_lease_id THEN locked_until END
     -- Sent twice, it was withdrawn by the first.
     WHERE subject = p_subject AND failures > 0 AND EXISTS (SELECT 1 FROM released)
$$;
