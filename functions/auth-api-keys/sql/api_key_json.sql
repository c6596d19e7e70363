-- An API key as the API shows it; never the key itself. When it was last used is not in its row.
CREATE OR REPLACE FUNCTION api_key_json(p_key api_keys) RETURNS json
LANGUAGE sql STABLE PARALLEL SAFE
RETURN json_build_object(
    'id', prefixed_id('key_', (p_key).id), 'name', (p_key).name, 'hint', (p_key).hint,
    'scopes', (p_key).scopes, 'expires_at', rfc3339((p_key).expires_at),
    'created_at', rfc3339((p_key).created_at));
