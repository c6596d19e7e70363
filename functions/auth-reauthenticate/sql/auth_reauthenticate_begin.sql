-- What the proof must match. It takes a lease even if only a code will be
-- checked, because the bound on hashing bounds guesses that are under way too.
CREATE OR REPLACE FUNCTION auth_reauthenticate_begin(
    p_digest bytea, p_address text, p_lease_id uuid, p_host_id text, p_max_leases integer
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := session_refusal(v_principal);
    v_user users;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    SELECT * INTO v_user FROM users WHERE id = v_principal.user_id;
    -- Guessing here is guessing at the login, and counts as that.
    v_refusal := login_refusal(v_user.email, p_address);
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    IF NOT hash_lease_take(p_lease_id, p_host_id, p_max_leases) THEN
        RETURN json_build_object('refusal', 'too_many_hashes');
    END IF;
    RETURN json_build_object(
        'user_id', prefixed_id('usr_', v_user.id), 'email', v_user.email,
        'password_hash', v_user.password_hash, 'enrolment', totp_enrolment(v_user.id));
END;
$$;
