-- Takes a lease, unless the host has as many as it may. Callers that ask at the same
-- moment queue on the lock for the length of one transaction, so that the bound is
-- exact. Leases that ran out are swept, without waiting for one that is just being
-- given back.
CREATE OR REPLACE FUNCTION hash_lease_take(p_id uuid, p_host_id text, p_max integer) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('hash_leases'), hashtext(p_host_id));
    DELETE FROM hash_leases WHERE id IN (
        SELECT id FROM hash_leases
         -- The clock, not the transaction's start, which was before the lock.
         WHERE host_id = p_host_id AND expires_at <= clock_timestamp()
           FOR UPDATE SKIP LOCKED);
    IF (SELECT count(*) FROM hash_leases
         WHERE host_id = p_host_id AND id <> p_id AND expires_at > clock_timestamp()) >= p_max THEN
        RETURN false;
    END IF;
    INSERT INTO hash_leases (id, host_id, expires_at)
    -- Ten seconds: several times what a host with a full queue needs for a hash.
    VALUES (p_id, p_host_id, clock_timestamp() + interval '10 seconds')
    ON CONFLICT (id) DO NOTHING;
    RETURN true;
END;
$$;
