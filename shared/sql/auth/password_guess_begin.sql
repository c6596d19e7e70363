-- Who guesses their own password, and the right to verify it; or why they may not. It counts
-- against the sign-in alone.
CREATE OR REPLACE FUNCTION password_guess_begin(
    p_digest bytea, p_lease_id uuid, p_host_id text, p_max_leases integer, p_address text,
    OUT guesser users, OUT subject text, OUT refusal json
)
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
BEGIN
    refusal := session_refusal(v_principal);
    IF refusal IS NOT NULL THEN
        RETURN;
    END IF;
    subject := session_guess_subject(v_principal);
    SELECT * INTO guesser FROM users WHERE id = v_principal.user_id;
    refusal := guess_begin(subject, p_lease_id, p_host_id, p_max_leases, p_address);
END;
$$;
