-- What a login needs to go on: the right to hash, the hash to verify and the
-- enrolment of the second factor; or how long to wait. An unknown email takes a
-- lease like any other, because it costs a hash like any other.
CREATE OR REPLACE FUNCTION auth_login_begin(
    p_email text, p_address text, p_lease_id uuid, p_host_id text, p_max_leases integer
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_wait interval := login_wait(p_email, p_address);
    v_user users;
BEGIN
    IF v_wait IS NOT NULL THEN
        RETURN json_build_object('outcome', 'locked', 'retry_after_secs', ceil(extract(epoch FROM v_wait))::integer);
    END IF;
    IF NOT hash_lease_take(p_lease_id, p_host_id, p_max_leases) THEN
        RETURN json_build_object('outcome', 'busy');
    END IF;
    SELECT * INTO v_user FROM users WHERE email = p_email AND disabled_at IS NULL;
    RETURN json_build_object(
        'outcome', 'proceed',
        'user_id', prefixed_id('usr_', v_user.id),
        'password_hash', v_user.password_hash,
        'enrolment', totp_enrolment(v_user.id));
END;
$$;
