-- What a JWT of the caller's organization stands for. All that is known of it came
-- out of the unverified token, and is only looked up: the answer says whether such
-- a key is published, so that the component may verify, and what the named session
-- or API key may do at present. The token is as live as the credential that it was
-- made from, and authenticate() alone decides what that means.
CREATE OR REPLACE FUNCTION auth_introspect_jwt(
    p_caller bytea, p_kid text, p_organization_id uuid, p_session_id uuid, p_api_key_id uuid
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_caller principal := authenticate(p_caller);
    v_refusal json := refusal(v_caller, 'tokens:introspect');
    v_subject principal;
    v_hash bytea;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    IF v_caller.organization_id = p_organization_id AND EXISTS (
        SELECT 1 FROM signing_keys k
         WHERE kid = p_kid AND signing_key_state(k, clock_timestamp()) IN ('signing', 'published')) THEN
        IF p_session_id IS NOT NULL THEN
            -- A refresh replaces the access token and keeps the session, so the one
            -- that is live now need not be the one that was presented then.
            SELECT digest INTO v_hash FROM access_tokens
             WHERE organization_id = p_organization_id AND session_id = p_session_id ORDER BY expires_at DESC LIMIT 1;
        ELSE
            SELECT digest INTO v_hash FROM api_keys
             WHERE organization_id = p_organization_id AND id = p_api_key_id;
        END IF;
        IF v_hash IS NOT NULL THEN
            v_subject := authenticate(token_digest(p_organization_id, v_hash));
        END IF;
    END IF;
    RETURN json_build_object(
        'now_secs', unix_secs(clock_timestamp()),
        'subject', CASE WHEN v_subject.organization_id = p_organization_id THEN introspected_json(v_subject) END);
END;
$$;
