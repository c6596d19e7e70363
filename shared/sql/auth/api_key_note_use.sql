-- Notes in its row that an API key is used, for a write that is made with it anyway. Once a minute
-- is enough, and is how often the key-value store is told.
CREATE OR REPLACE FUNCTION api_key_note_use(p_principal principal) RETURNS void
LANGUAGE sql AS $$
    UPDATE api_keys SET last_used_at = now()
     WHERE organization_id = (p_principal).organization_id AND id = (p_principal).api_key_id
       AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')
$$;
