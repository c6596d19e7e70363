-- Takes the right to hash, counts the guess, and answers against what it counts and whose the
-- email is, with the hash to verify, the enrolment of the second factor, and the organization to
-- sign in to, if the user has any. The user is null when the email is nobody's. An unknown email
-- is counted and takes a lease like any other, because it costs a hash like any other.
--
-- A device that the user signed in from is counted by itself. Whatever strangers guessed does not
-- stop it.
CREATE OR REPLACE FUNCTION auth_login_begin(
    p_email text, p_lease_id uuid, p_host_id text, p_max_leases integer, p_address text,
    p_device_user_id uuid, p_device_id uuid, p_device_issued_micros bigint
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_user users;
    v_enrolment text;
    v_home_id uuid;
    v_subject text;
    v_refusal json;
BEGIN
    SELECT * INTO v_user FROM users WHERE email = p_email AND disabled_at IS NULL;
    v_subject := CASE WHEN device_is_known(v_user, p_device_user_id, p_device_issued_micros)
                      THEN device_guess_subject(p_device_id)
                      ELSE guess_subject(p_email, p_address) END;
    v_refusal := guess_begin(v_subject, p_lease_id, p_host_id, p_max_leases, p_address);
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    -- Looked for in any case, so that an unknown email takes as long.
    v_enrolment := totp_enrolment(v_user.id);
    v_home_id := user_home_organization(v_user.id);
    RETURN json_build_object(
        'subject', v_subject,
        'user', CASE WHEN v_user.id IS NOT NULL THEN json_build_object(
            'id', prefixed_id('usr_', v_user.id),
            'password_hash', v_user.password_hash,
            'enrolment', v_enrolment,
            'organization_id', prefixed_id('org_', v_home_id)) END);
END;
$$;
