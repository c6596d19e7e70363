-- Whose password a token may replace, and a lease to hash the new one.
CREATE OR REPLACE FUNCTION auth_password_reset_begin(
    p_token_digest bytea, p_lease_id uuid, p_host_id text, p_max_leases integer, p_address text
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_token email_tokens;
    v_user users;
BEGIN
    SELECT * INTO v_token FROM email_tokens WHERE digest = token_hash(p_token_digest) AND purpose = 'reset_password';
    SELECT * INTO v_user FROM users
     WHERE id = v_token.user_id AND email = v_token.email AND disabled_at IS NULL;
    IF NOT email_token_is_good(v_token) OR v_user.id IS NULL OR v_token.created_at < v_user.devices_since THEN
        RETURN json_build_object('refusal', 'invalid_token');
    END IF;
    IF NOT hash_lease_take(p_lease_id, p_host_id, p_max_leases, p_address) THEN
        RETURN json_build_object('refusal', 'too_many_hashes');
    END IF;
    RETURN json_build_object('user_id', prefixed_id('usr_', v_user.id), 'email', v_user.email);
END;
$$;
