-- Replaces the password that was verified, ends every other session with what it left pending,
-- every link that resets the password or changes the email, and every known device, takes the
-- guess's count back, and gives the lease back. The device that asks is known from the moment of
-- the answer on.
CREATE OR REPLACE FUNCTION auth_password_change(
    p_digest bytea, p_verified_hash text, p_new_hash text, p_lease_id uuid
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := principal_hold(p_digest);
    v_refusal json := session_refusal(v_principal);
    v_user users;
BEGIN
    PERFORM hash_lease_release(p_lease_id);
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    SELECT * INTO v_user FROM users WHERE id = v_principal.user_id;
    -- Sent twice, it was changed by the first.
    IF v_user.password_hash = p_new_hash THEN
        RETURN json_build_object('device_issued_micros', device_moment());
    END IF;
    IF v_user.password_hash <> p_verified_hash THEN
        RETURN json_build_object('refusal', 'wrong_password');
    END IF;
    UPDATE users SET password_hash = p_new_hash, devices_since = clock_timestamp() WHERE id = v_user.id;
    PERFORM guess_forgive(session_guess_subject(v_principal));
    PERFORM sessions_end(v_user.id, 'password_changed', p_sign_in_id => principal_sign_in(v_principal));
    PERFORM audit_append(v_principal.organization_id, 'password.changed', v_principal.user_id,
                         prefixed_id('usr_', v_principal.user_id));
    PERFORM notice_add(v_user.id, 'password_changed');
    RETURN json_build_object('device_issued_micros', device_moment());
END;
$$;
