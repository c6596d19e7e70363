-- The principal of an access token or an API key, or a null one for a
-- credential that is unknown, expired or revoked, and for a user who is
-- disabled or has left the organization. A key holds those of its scopes that
-- its user still has.
CREATE OR REPLACE FUNCTION authenticate(p_digest bytea) RETURNS principal
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    v_principal principal;
BEGIN
    SELECT s.user_id, s.organization_id, s.id, t.expires_at,
           role_permissions(s.organization_id, m.role) || CASE
               WHEN u.platform_role IS NULL THEN '{}'
               ELSE role_permissions(NULL, u.platform_role) END,
           NULL::uuid
      INTO v_principal
      FROM access_tokens t
      JOIN sessions s ON s.id = t.session_id
      JOIN users u ON u.id = s.user_id
      JOIN memberships m ON m.organization_id = s.organization_id AND m.user_id = s.user_id
     WHERE t.digest = p_digest
       AND t.expires_at > now()
       AND s.revoked_at IS NULL
       AND u.disabled_at IS NULL;
    IF FOUND THEN
        RETURN v_principal;
    END IF;
    SELECT k.user_id, k.organization_id, NULL::uuid,
           least(k.expires_at, CASE WHEN k.previous_digest = p_digest THEN k.previous_until END, 'infinity'),
           ARRAY(SELECT unnest(k.scopes) INTERSECT
                 SELECT unnest(role_permissions(k.organization_id, m.role) || CASE
                     WHEN u.platform_role IS NULL THEN '{}'
                     ELSE role_permissions(NULL, u.platform_role) END)),
           k.id
      INTO v_principal
      FROM api_keys k
      JOIN users u ON u.id = k.user_id
      JOIN memberships m ON m.organization_id = k.organization_id AND m.user_id = k.user_id
     WHERE (k.digest = p_digest OR (k.previous_digest = p_digest AND k.previous_until > now()))
       AND (k.expires_at IS NULL OR k.expires_at > now())
       AND k.revoked_at IS NULL
       AND u.disabled_at IS NULL;
    -- A request whose answer was cached does not come here, so the moment is
    -- exact to the minute, or to the cached answer's time to live.
    UPDATE api_keys SET last_used_at = now()
     WHERE id = v_principal.api_key_id
       AND (last_used_at IS NULL OR last_used_at < now() - api_key_use_granularity());
    RETURN v_principal;
END;
$$;
