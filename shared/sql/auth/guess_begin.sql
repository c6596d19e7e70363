-- Takes the right to hash for a guess, and counts the guess before it is verified; or says
-- why neither was done. The lease's id names the guess.
--
-- The guess is counted before the lease is taken: whoever waits for a row of counts must not
-- hold the lock on the host's leases meanwhile, which everybody waits for.
CREATE OR REPLACE FUNCTION guess_begin(
    p_subject text, p_lease_id uuid, p_host_id text, p_max_leases integer, p_address text
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_wait interval := guess_wait(p_subject, p_address, p_lease_id);
BEGIN
    IF v_wait IS NULL THEN
        v_wait := guess_count(p_subject, p_lease_id, guess_free_failures());
    END IF;
    IF v_wait IS NOT NULL THEN
        RETURN guess_refusal(v_wait);
    END IF;
    IF NOT hash_lease_take(p_lease_id, p_host_id, p_max_leases, p_address) THEN
        PERFORM guess_uncount(p_subject, p_lease_id);
        RETURN json_build_object('refusal', 'too_many_hashes');
    END IF;
    IF guess_is_strangers(p_subject) THEN
        v_wait := address_guess_wait(p_address, p_host_id);
    END IF;
    IF v_wait IS NOT NULL THEN
        PERFORM guess_uncount(p_subject, p_lease_id);
        PERFORM hash_lease_release(p_lease_id);
    END IF;
    RETURN guess_refusal(v_wait);
END;
$$;
