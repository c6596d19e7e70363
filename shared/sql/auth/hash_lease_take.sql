-- Takes a lease, unless the host has as many as it may. An address that holds none may take
-- one of a reserve besides, so that whoever sends many requests at once is in nobody
-- else's way.
--
-- Callers that ask at the same moment queue on the lock for the length of one transaction,
-- so that the bound is exact. Whoever is turned away anyhow does not queue. Leases that ran
-- out are swept, without waiting for one that is just being given back.
CREATE OR REPLACE FUNCTION hash_lease_take(p_id uuid, p_host_id text, p_max integer, p_address text) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    IF NOT hash_lease_is_free(p_id, p_host_id, p_max, p_address) THEN
        RETURN false;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('hash_leases'), hashtext(p_host_id));
    IF NOT hash_lease_is_free(p_id, p_host_id, p_max, p_address) THEN
        RETURN false;
    END IF;
    DELETE FROM hash_leases WHERE id IN (
        SELECT id FROM hash_leases
         -- The clock, not the transaction's start, which was before the lock.
         WHERE host_id = p_host_id AND expires_at <= clock_timestamp()
           FOR UPDATE SKIP LOCKED);
    INSERT INTO hash_leases (id, host_id, address, expires_at)
    -- Ten seconds: several times what a host with a full queue needs for a hash.
    VALUES (p_id, p_host_id, p_address, clock_timestamp() + interval '10 seconds')
    ON CONFLICT (id) DO NOTHING;
    RETURN true;
END;
$$;
