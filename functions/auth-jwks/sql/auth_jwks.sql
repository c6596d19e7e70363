-- The ids of the published keys, newest first. A signing key is made if there is
-- none, so that a verifier which starts before the first token has something to hold.
CREATE OR REPLACE FUNCTION auth_jwks(p_new_kid text) RETURNS json
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM signing_key_current(p_new_kid);
    RETURN (SELECT json_agg(kid ORDER BY signs_from DESC, kid)
              FROM signing_keys WHERE retired_at IS NULL OR retired_at > clock_timestamp());
END;
$$;
