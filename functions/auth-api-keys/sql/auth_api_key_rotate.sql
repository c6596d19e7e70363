-- Gives a key a new secret; the old one works on for the overlap. A session must have proved lately
-- who it is; a key that was rotated by another ends with that one.
CREATE OR REPLACE FUNCTION auth_api_key_rotate(
    p_digest bytea, p_id uuid, p_key_digest bytea, p_hint text, p_overlap_secs integer
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
    SELECT * INTO v_key FROM api_keys
     WHERE organization_id = v_principal.organization_id AND id = p_id
       AND user_id = v_principal.user_id AND revoked_at IS NULL
       FOR UPDATE;
    IF NOT FOUND THEN
        RETURN json_build_object('refusal', 'not_found');
    END IF;
    -- Whoever rotates a key holds its new secret, so a key must not rotate one
    -- that may do more than itself.
    IF v_principal.api_key_id IS NOT NULL AND NOT v_key.scopes <@ v_principal.permissions THEN
        RETURN json_build_object('refusal', 'scope_exceeded');
    END IF;
    IF v_key.digest <> token_hash(p_key_digest) THEN
        UPDATE api_keys
           SET digest = token_hash(p_key_digest), previous_digest = v_key.digest,
               previous_until = now() + make_interval(secs => p_overlap_secs), hint = p_hint,
               -- Whoever rotates it has the new secret, and may leave it behind.
               sign_in_id = principal_sign_in(v_principal),
               drawn_by = CASE WHEN v_principal.api_key_id = p_id OR v_principal.api_key_id IS NULL
                                    OR v_principal.api_key_id = ANY (drawn_by)
                               THEN drawn_by ELSE drawn_by || v_principal.api_key_id END
         WHERE organization_id = v_key.organization_id AND id = p_id
        RETURNING * INTO v_key;
        PERFORM audit_append(v_principal.organization_id, 'api_key.rotated', v_principal.user_id, prefixed_id('key_', p_id));
        PERFORM notice_add(v_principal.user_id, 'api_key_rotated', jsonb_build_object('name', v_key.name));
    END IF;
    RETURN api_key_json(v_key);
END;
$$;
