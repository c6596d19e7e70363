-- The hash that a password change must verify first, the right to verify it, and against
-- what the guess counts.
CREATE OR REPLACE FUNCTION auth_password_begin(
    p_digest bytea, p_lease_id uuid, p_host_id text, p_max_leases integer, p_address text
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_guess record;
BEGIN
    v_guess := password_guess_begin(p_digest, p_lease_id, p_host_id, p_max_leases, p_address);
    IF v_guess.refusal IS NOT NULL THEN
        RETURN v_guess.refusal;
    END IF;
    RETURN json_build_object('subject', v_guess.subject, 'email', (v_guess.guesser).email,
                             'password_hash', (v_guess.guesser).password_hash);
END;
$$;
