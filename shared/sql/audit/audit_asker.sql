-- Says who asks, for the events of this transaction: where the request came from, and the session
-- or the API key of the credential that came with it, good or not. A component calls it in every
-- statement of an operation that is audited, before the function that appends the events. So no
-- such function has to hand it on, and none can forget it.
--
-- The session is looked up now, because a logout takes its tokens away before its event is
-- appended. Settings of the transaction are gone when it ends.
CREATE OR REPLACE FUNCTION audit_asker(p_address text, p_credential bytea) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_organization_id uuid := token_organization(p_credential);
    v_hash bytea := token_hash(p_credential);
    v_session_id uuid;
    v_api_key_id uuid;
BEGIN
    IF p_credential IS NOT NULL THEN
        SELECT session_id INTO v_session_id FROM access_tokens
         WHERE organization_id = v_organization_id AND digest = v_hash;
        IF NOT FOUND THEN
            SELECT id INTO v_api_key_id FROM api_keys
             WHERE organization_id = v_organization_id AND (digest = v_hash OR previous_digest = v_hash);
        END IF;
    END IF;
    PERFORM set_config('turnpike.address', p_address, true),
            set_config('turnpike.organization_id', coalesce(v_organization_id::text, ''), true),
            set_config('turnpike.session_id', coalesce(v_session_id::text, ''), true),
            set_config('turnpike.api_key_id', coalesce(v_api_key_id::text, ''), true);
END;
$$;
