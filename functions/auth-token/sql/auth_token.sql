-- What a JWT for the credential says, and the key that signs it. p_scope is the
-- wanted part of the credential's permissions, or null for all of them.
CREATE OR REPLACE FUNCTION auth_token(p_digest bytea, p_new_kid text, p_scope text[]) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_key signing_keys;
    v_issued_secs bigint;
    v_expires_secs bigint;
BEGIN
    IF v_principal.user_id IS NULL THEN
        RETURN json_build_object('refusal', 'unauthenticated');
    END IF;
    IF v_principal.organization_id IS NULL THEN
        RETURN json_build_object('refusal', 'organization_required');
    END IF;
    IF NOT coalesce(p_scope, '{}') <@ v_principal.permissions THEN
        RETURN json_build_object('refusal', 'scope_exceeded');
    END IF;
    v_key := signing_key_current(p_new_kid);
    v_issued_secs := unix_secs(clock_timestamp());
    -- It does not outlive the credential that it was made from.
    v_expires_secs := unix_secs(least(to_timestamp(v_issued_secs) + jwt_lifetime_interval(), v_principal.expires_at));
    -- A credential in its last second has no whole one left to give.
    IF v_expires_secs <= v_issued_secs THEN
        RETURN json_build_object('refusal', 'unauthenticated');
    END IF;
    RETURN json_build_object(
        'kid', v_key.kid,
        'issued_secs', v_issued_secs,
        'expires_secs', v_expires_secs,
        'user_id', prefixed_id('usr_', v_principal.user_id),
        'organization_id', prefixed_id('org_', v_principal.organization_id),
        'session_id', prefixed_id('ses_', v_principal.session_id),
        'api_key_id', prefixed_id('key_', v_principal.api_key_id),
        'scope', (SELECT coalesce(json_agg(DISTINCT p ORDER BY p), '[]'::json)
                    FROM unnest(coalesce(p_scope, v_principal.permissions)) p));
END;
$$;
