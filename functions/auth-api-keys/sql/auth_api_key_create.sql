-- Makes an API key of the token's user, for the token's organization. A session must have proved
-- lately who it is; a key that makes a key takes it along when it is revoked.
CREATE OR REPLACE FUNCTION auth_api_key_create(
    p_digest bytea, p_id uuid, p_name text, p_key_digest bytea, p_hint text, p_scopes text[], p_ttl_secs integer
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := principal_hold(p_digest);
    v_refusal json := refusal(v_principal, 'api_keys:manage');
    v_key api_keys;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    -- The key outlives a logout of the session.
    v_refusal := CASE WHEN v_principal.session_id IS NOT NULL THEN recent_login_refusal(v_principal) END;
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    -- A key is made with what its maker has, and never with more.
    IF NOT p_scopes <@ v_principal.permissions THEN
        RETURN json_build_object('refusal', 'scope_exceeded');
    END IF;
    INSERT INTO api_keys (organization_id, id, user_id, name, digest, hint, scopes, sign_in_id, drawn_by, expires_at)
    VALUES (v_principal.organization_id, p_id, v_principal.user_id, p_name, token_hash(p_key_digest), p_hint, p_scopes,
            principal_sign_in(v_principal), array_remove(ARRAY[v_principal.api_key_id], NULL),
            -- A key that makes a key does not outlive itself in it. LEAST passes over null.
            least(now() + make_interval(secs => p_ttl_secs),
                  CASE WHEN v_principal.api_key_id IS NOT NULL THEN nullif(v_principal.expires_at, 'infinity') END))
    ON CONFLICT (organization_id, id) DO NOTHING;
    IF FOUND THEN
        PERFORM audit_append(v_principal.organization_id, 'api_key.created', v_principal.user_id,
                             prefixed_id('key_', p_id), jsonb_build_object('name', p_name, 'scopes', p_scopes));
        PERFORM notice_add(v_principal.user_id, 'api_key_created', jsonb_build_object('name', p_name));
    END IF;
    SELECT * INTO v_key FROM api_keys WHERE organization_id = v_principal.organization_id AND id = p_id;
    RETURN api_key_json(v_key);
END;
$$;
