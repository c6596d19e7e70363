-- The ids of the published keys, newest first.
CREATE OR REPLACE FUNCTION auth_jwks() RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT coalesce(json_agg(kid ORDER BY signs_from DESC, kid), '[]'::json)
      FROM signing_keys WHERE retired_at IS NULL OR retired_at > clock_timestamp()
$$;
