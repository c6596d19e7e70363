-- Gives the lease back, and takes back the count of a guess that turned out to be none:
-- nothing was verified, or it was right and something else was missing.
CREATE OR REPLACE FUNCTION guess_withdraw(p_lease_id uuid, p_subject text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM hash_leases WHERE id = p_lease_id;
    -- Sent twice, it was withdrawn by the first.
    IF FOUND THEN
        PERFORM guess_discount(p_subject, p_lease_id);
    END IF;
END;
$$;
