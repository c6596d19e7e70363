-- Who guesses their own password, and the right to verify it; or why they may not. Guessing
-- here is guessing at the login, and counts as that.
CREATE OR REPLACE FUNCTION password_guess_begin(
    p_digest bytea, p_address text, p_lease_id uuid, p_host_id text, p_max_leases integer,
    OUT guesser users, OUT refusal json
)
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
BEGIN
    refusal := session_refusal(v_principal);
    IF refusal IS NOT NULL THEN
        RETURN;
    END IF;
    SELECT * INTO guesser FROM users WHERE id = v_principal.user_id;
    refusal := login_refusal(guesser.email, p_address);
    IF refusal IS NULL AND NOT hash_lease_take(p_lease_id, p_host_id, p_max_leases) THEN
        refusal := json_build_object('refusal', 'too_many_hashes');
    END IF;
END;
$$;
