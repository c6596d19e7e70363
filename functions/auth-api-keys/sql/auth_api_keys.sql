-- The API keys of the token's user in the token's organization, newest first.
CREATE OR REPLACE FUNCTION auth_api_keys(p_digest bytea, p_limit integer) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'api_keys:manage');
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    RETURN json_build_object('api_keys', (
        SELECT coalesce(json_agg(api_key_json(k) ORDER BY k.created_at DESC), '[]'::json)
          FROM (SELECT * FROM api_keys
                 WHERE user_id = v_principal.user_id AND organization_id = v_principal.organization_id
                   AND revoked_at IS NULL
                 ORDER BY created_at DESC LIMIT p_limit) k));
END;
$$;
