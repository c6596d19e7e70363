-- Gives a lease back; one that has run out is given back already.
CREATE OR REPLACE FUNCTION hash_lease_release(p_id uuid) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM hash_leases WHERE id = p_id;
END;
$$;
