-- Revokes an API key of the token's user, at once.
CREATE OR REPLACE FUNCTION auth_api_key_revoke(p_digest bytea, p_id uuid) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := principal_hold(p_digest);
    v_refusal json := refusal(v_principal, 'api_keys:manage');
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    UPDATE api_keys SET revoked_at = now()
     WHERE organization_id = v_principal.organization_id AND id = p_id
       AND user_id = v_principal.user_id AND revoked_at IS NULL;
    IF FOUND THEN
        PERFORM audit_append(v_principal.organization_id, 'api_key.revoked', v_principal.user_id, prefixed_id('key_', p_id));
    -- One that was revoked before is as revoked as the caller wants it.
    ELSIF NOT EXISTS (SELECT 1 FROM api_keys
                       WHERE organization_id = v_principal.organization_id AND id = p_id
                         AND user_id = v_principal.user_id) THEN
        RETURN json_build_object('refusal', 'not_found');
    END IF;
    RETURN json_build_object('status', 'revoked');
END;
$$;
