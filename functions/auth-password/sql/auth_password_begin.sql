-- The hash that a password change must verify first, and the right to verify it.
CREATE OR REPLACE FUNCTION auth_password_begin(
    p_digest bytea, p_address text, p_lease_id uuid, p_host_id text, p_max_leases integer
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_guess record;
BEGIN
    v_guess := password_guess_begin(p_digest, p_address, p_lease_id, p_host_id, p_max_leases);
    IF v_guess.refusal IS NOT NULL THEN
        RETURN v_guess.refusal;
    END IF;
    RETURN json_build_object('email', (v_guess.guesser).email, 'password_hash', (v_guess.guesser).password_hash);
END;
$$;
