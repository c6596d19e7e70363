-- Whether an address may take one more lease of a host: one of p_max, or, while it holds none,
-- one of the reserve.
CREATE OR REPLACE FUNCTION hash_lease_is_free(p_id uuid, p_host_id text, p_max integer, p_address text) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT count(*) < p_max + CASE WHEN count(*) FILTER (WHERE address = p_address) = 0
                                       THEN hash_lease_reserve(p_max) ELSE 0 END
          FROM hash_leases
         WHERE host_id = p_host_id AND id <> p_id AND expires_at > clock_timestamp());
END;
$$;
