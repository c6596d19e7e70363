-- The organizations that the token's user belongs to, newest membership first. The
-- memberships are read once: to look each up again may read all of the user's each time.
CREATE OR REPLACE FUNCTION organizations_list(p_digest bytea, p_limit integer) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := session_refusal(v_principal);
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    RETURN json_build_object('organizations', (
        SELECT coalesce(json_agg(organization_as_seen(o, m.role) ORDER BY m.created_at DESC), '[]'::json)
          FROM (SELECT * FROM memberships WHERE user_id = v_principal.user_id
                 ORDER BY created_at DESC LIMIT p_limit) m
          JOIN organizations o ON o.id = m.organization_id));
END;
$$;
