-- All keys, newest first; retired ones are kept as a record.
CREATE OR REPLACE FUNCTION auth_signing_keys(p_digest bytea, p_limit integer) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'signing_keys:manage');
    v_now timestamptz := clock_timestamp();
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    RETURN json_build_object('signing_keys', (
        SELECT coalesce(json_agg(signing_key_json(k, v_now) ORDER BY k.created_at DESC, k.kid), '[]'::json)
          FROM (SELECT * FROM signing_keys ORDER BY created_at DESC, kid LIMIT p_limit) k));
END;
$$;
