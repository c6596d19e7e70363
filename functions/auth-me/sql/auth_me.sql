-- The user, organization and permissions behind a token, and when it expires. The
-- organization is null for a user who belongs to none.
CREATE OR REPLACE FUNCTION auth_me(p_digest bytea) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
BEGIN
    IF v_principal.user_id IS NULL THEN
        RETURN json_build_object('refusal', 'unauthenticated');
    END IF;
    RETURN (
        SELECT json_build_object(
            'token_expires_millis', unix_millis(v_principal.expires_at),
            'me', json_build_object(
                'user_id', prefixed_id('usr_', u.id),
                'email', u.email,
                'email_verified', u.email_verified_at IS NOT NULL,
                'organization_id', prefixed_id('org_', o.id),
                'organization_name', o.name,
                'session_id', prefixed_id('ses_', v_principal.session_id),
                'permissions', (SELECT coalesce(json_agg(DISTINCT p ORDER BY p), '[]'::json)
                                  FROM unnest(v_principal.permissions) p),
                'created_at', rfc3339(u.created_at)))
          FROM users u LEFT JOIN organizations o ON o.id = v_principal.organization_id
         WHERE u.id = v_principal.user_id
    );
END;
$$;
