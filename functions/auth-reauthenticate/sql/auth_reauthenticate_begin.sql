-- What the proof must match. It takes a lease even if only a code will be
-- checked, because the bound on hashing bounds guesses that are under way too.
CREATE OR REPLACE FUNCTION auth_reauthenticate_begin(
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
    RETURN json_build_object(
        'subject', v_guess.subject, 'user_id', prefixed_id('usr_', (v_guess.guesser).id),
        'password_hash', (v_guess.guesser).password_hash, 'enrolment', totp_enrolment((v_guess.guesser).id));
END;
$$;
