-- Takes a key away at once: it is published no more, and its tokens are worth
-- nothing wherever Turnpike is asked. If it was signing, the one that waits signs
-- now, or else the next token makes a new key.
CREATE OR REPLACE FUNCTION auth_signing_key_withdraw(p_digest bytea, p_kid text) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'signing_keys:manage');
    v_now timestamptz;
    v_key signing_keys;
    v_state text;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    PERFORM signing_keys_lock();
    v_now := clock_timestamp();
    SELECT * INTO v_key FROM signing_keys WHERE kid = p_kid;
    IF NOT FOUND THEN
        RETURN json_build_object('refusal', 'not_found');
    END IF;
    v_state := signing_key_state(v_key, v_now);
    -- One that is retired already is as gone as the caller wants it.
    IF v_state <> 'retired' THEN
        UPDATE signing_keys SET retired_at = v_now WHERE kid = p_kid;
        IF v_state = 'next' THEN
            -- The signing key has no successor any more, and so no end.
            UPDATE signing_keys k SET retired_at = NULL WHERE signing_key_state(k, v_now) = 'signing';
        ELSIF v_state = 'signing' THEN
            UPDATE signing_keys k SET signs_from = v_now WHERE signing_key_state(k, v_now) = 'next';
        END IF;
        PERFORM audit_append(no_organization(), 'signing_key.withdrawn', v_principal.user_id, p_kid,
                             jsonb_build_object('state', v_state));
    END IF;
    RETURN json_build_object('status', 'withdrawn');
END;
$$;
