-- The API keys of the token's user in the token's organization, newest first; each with the
-- hashes that it has and had before its last rotation, by which the key-value store knows it.
CREATE OR REPLACE FUNCTION auth_api_keys(p_digest bytea, p_limit integer) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'api_keys:manage');
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    RETURN (
        SELECT coalesce(json_agg(json_build_object(
                   'api_key', api_key_json(k),
                   'hashes', ARRAY(SELECT encode(d, 'hex') FROM unnest(ARRAY[k.digest, k.previous_digest]) d
                                    WHERE d IS NOT NULL)) ORDER BY k.created_at DESC), '[]'::json)
          FROM (SELECT * FROM api_keys
                 WHERE user_id = v_principal.user_id AND organization_id = v_principal.organization_id
                   AND revoked_at IS NULL
                 ORDER BY created_at DESC LIMIT p_limit) k);
END;
$$;
