-- The principal of an access token or an API key, or a null one for a
-- credential that is unknown, expired or revoked, and for a user who is
-- disabled or has left the organization. A key holds those of its scopes that
-- its user still has.
--
-- p_digest is the 48 bytes of token_organization(). The organization in it finds the row, and
-- grants nothing: the SHA-256 is that of the whole token, and so of its organization too.
--
-- It writes nothing. Which keys are in use is noted in the key-value store, after the answer.
CREATE OR REPLACE FUNCTION authenticate(p_digest bytea) RETURNS principal
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_organization_id uuid := token_organization(p_digest);
    v_hash bytea := token_hash(p_digest);
    v_principal principal;
BEGIN
    SELECT s.user_id, m.organization_id, s.id, least(t.expires_at, session_ends_at(s.created_at)),
           -- Nobody has a permission outside of an organization.
           CASE WHEN m.organization_id IS NULL THEN '{}' ELSE
               role_permissions(s.organization_id, m.role) || platform_permissions(u.platform_role) END,
           NULL::uuid
      INTO v_principal
      FROM access_tokens t
      JOIN sessions s ON s.organization_id = t.organization_id AND s.id = t.session_id
      JOIN users u ON u.id = s.user_id
      LEFT JOIN memberships m ON m.organization_id = s.organization_id AND m.user_id = s.user_id
     WHERE t.organization_id = v_organization_id
       AND t.digest = v_hash
       AND t.expires_at > now()
       AND session_ends_at(s.created_at) > now()
       AND s.revoked_at IS NULL
       AND u.disabled_at IS NULL
       AND (m.organization_id IS NOT NULL OR t.organization_id = no_organization());
    IF FOUND THEN
        RETURN v_principal;
    END IF;
    SELECT k.user_id, k.organization_id, NULL::uuid,
           least(k.expires_at, CASE WHEN k.previous_digest = v_hash THEN k.previous_until END, 'infinity'),
           ARRAY(SELECT unnest(k.scopes) INTERSECT
                 SELECT unnest(role_permissions(k.organization_id, m.role)
                               || platform_permissions(u.platform_role))),
           k.id
      INTO v_principal
      FROM api_keys k
      JOIN users u ON u.id = k.user_id
      JOIN memberships m ON m.organization_id = k.organization_id AND m.user_id = k.user_id
     WHERE k.organization_id = v_organization_id
       AND (k.digest = v_hash OR (k.previous_digest = v_hash AND k.previous_until > now()))
       AND (k.expires_at IS NULL OR k.expires_at > now())
       AND k.revoked_at IS NULL
       AND u.disabled_at IS NULL;
    RETURN v_principal;
END;
$$;
