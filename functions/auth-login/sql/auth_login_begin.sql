-- Takes the right to hash, and answers whose the email is, with the hash to verify and
-- the enrolment of the second factor; null when it is nobody's. An unknown email takes
-- a lease like any other, because it costs a hash like any other.
CREATE OR REPLACE FUNCTION auth_login_begin(
    p_email text, p_address text, p_lease_id uuid, p_host_id text, p_max_leases integer
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_refusal json := login_refusal(p_email, p_address);
    v_user users;
    v_enrolment text;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    IF NOT hash_lease_take(p_lease_id, p_host_id, p_max_leases) THEN
        RETURN json_build_object('refusal', 'too_many_hashes');
    END IF;
    SELECT * INTO v_user FROM users WHERE email = p_email AND disabled_at IS NULL;
    -- Looked for in any case, so that an unknown email takes as long.
    v_enrolment := totp_enrolment(v_user.id);
    IF v_user.id IS NULL THEN
        RETURN 'null'::json;
    END IF;
    RETURN json_build_object(
        'id', prefixed_id('usr_', v_user.id),
        'password_hash', v_user.password_hash,
        'enrolment', v_enrolment);
END;
$$;
