-- Disables a user, which ends their sessions and all that is pending of them, or enables them
-- again, which brings none of it back.
CREATE OR REPLACE FUNCTION user_change(p_digest bytea, p_user_id uuid, p_disabled boolean) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'users:manage');
    v_user users;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    IF p_disabled AND p_user_id = v_principal.user_id THEN
        RETURN json_build_object('refusal', 'own_user');
    END IF;
    SELECT * INTO v_user FROM users WHERE id = p_user_id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN json_build_object('refusal', 'not_found');
    END IF;
    IF p_disabled <> (v_user.disabled_at IS NOT NULL) THEN
        UPDATE users SET disabled_at = CASE WHEN p_disabled THEN now() END,
                         -- Links that are just being written are older than this, too.
                         devices_since = CASE WHEN p_disabled THEN clock_timestamp() ELSE devices_since END
         WHERE id = p_user_id
        RETURNING * INTO v_user;
        IF p_disabled THEN
            PERFORM sessions_end(p_user_id, 'user_disabled');
        END IF;
        PERFORM audit_append(v_principal.organization_id,
                             CASE WHEN p_disabled THEN 'user.disabled' ELSE 'user.enabled' END,
                             v_principal.user_id, prefixed_id('usr_', p_user_id));
    END IF;
    RETURN user_json(v_user);
END;
$$;
