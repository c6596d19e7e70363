-- A signing key as the API shows it.
CREATE OR REPLACE FUNCTION signing_key_json(p_key signing_keys, p_time timestamptz) RETURNS json
LANGUAGE sql STABLE PARALLEL SAFE
RETURN json_build_object(
    'kid', (p_key).kid, 'state', signing_key_state(p_key, p_time), 'created_at', rfc3339((p_key).created_at),
    'signs_from', rfc3339((p_key).signs_from), 'retired_at', rfc3339((p_key).retired_at));
