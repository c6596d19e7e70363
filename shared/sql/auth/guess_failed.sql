-- Gives the lease back of a guess that was wrong. The guess was counted before it was
-- verified; a stranger's counts for their address too, now that it has failed.
CREATE OR REPLACE FUNCTION guess_failed(p_lease_id uuid, p_subject text, p_address text) RETURNS void
LANGUAGE sql AS $$
    SELECT hash_lease_release(p_lease_id);
    SELECT guess_count('address:' || p_address, p_lease_id, address_free_failures())
     WHERE guess_is_strangers(p_subject);
$$;
