-- Revokes an API key of the token's user, at once, and with it every key that it made or rotated,
-- and that those did: whoever had the secret of the one has that of the others.
CREATE OR REPLACE FUNCTION auth_api_key_revoke(p_digest bytea, p_id uuid) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := principal_hold(p_digest);
    v_refusal json := refusal(v_principal, 'api_keys:manage');
    v_child_id uuid;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    UPDATE api_keys SET revoked_at = now()
     WHERE organization_id = v_principal.organization_id AND id = p_id
       AND user_id = v_principal.user_id AND revoked_at IS NULL;
    IF FOUND THEN
        PERFORM audit_append(v_principal.organization_id, 'api_key.revoked', v_principal.user_id, prefixed_id('key_', p_id));
        FOR v_child_id IN
            WITH RECURSIVE drawn AS (
                SELECT p_id AS id
                UNION
                SELECT k.id FROM drawn d JOIN api_keys k
                    ON k.organization_id = v_principal.organization_id AND k.user_id = v_principal.user_id
                   AND d.id = ANY (k.drawn_by))
            UPDATE api_keys SET revoked_at = now()
             WHERE organization_id = v_principal.organization_id AND user_id = v_principal.user_id
               AND id IN (SELECT id FROM drawn) AND revoked_at IS NULL
            RETURNING id
        LOOP
            PERFORM audit_append(v_principal.organization_id, 'api_key.revoked', v_principal.user_id,
                                 prefixed_id('key_', v_child_id),
                                 jsonb_build_object('revoked_with', prefixed_id('key_', p_id)));
        END LOOP;
    -- One that was revoked before is as revoked as the caller wants it.
    ELSIF NOT EXISTS (SELECT 1 FROM api_keys
                       WHERE organization_id = v_principal.organization_id AND id = p_id
                         AND user_id = v_principal.user_id) THEN
        RETURN json_build_object('refusal', 'not_found');
    END IF;
    RETURN json_build_object('status', 'revoked');
END;
$$;
