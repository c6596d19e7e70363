-- The session of whoever asks, as audit_asker() was told; a null one for anybody else.
CREATE OR REPLACE FUNCTION audit_asker_session() RETURNS sessions
LANGUAGE sql STABLE AS $$
    SELECT s FROM sessions s
     WHERE organization_id = nullif(current_setting('turnpike.organization_id', true), '')::uuid
       AND id = nullif(current_setting('turnpike.session_id', true), '')::uuid
$$;
