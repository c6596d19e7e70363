-- A user, whoever's they are: the permission is the platform's.
CREATE OR REPLACE FUNCTION user_read(p_digest bytea, p_user_id uuid) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'users:manage');
    v_user users;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    SELECT * INTO v_user FROM users WHERE id = p_user_id;
    IF NOT FOUND THEN
        RETURN json_build_object('refusal', 'not_found');
    END IF;
    RETURN user_json(v_user);
END;
$$;
