-- Publishes a successor of the signing key now, unless one is published already and
-- waits to sign. Safe to send twice: the id is the caller's.
CREATE OR REPLACE FUNCTION auth_signing_key_rotate(p_digest bytea, p_new_kid text) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'signing_keys:manage');
    v_key signing_keys;
    v_waiting signing_keys;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    PERFORM signing_keys_lock();
    SELECT * INTO v_key FROM signing_keys WHERE kid = p_new_kid;
    IF NOT FOUND THEN
        v_waiting := signing_key_in_state('next', clock_timestamp());
        IF v_waiting.kid IS NOT NULL THEN
            RETURN json_build_object('refusal', 'rotation_pending', 'retry_after_secs',
                greatest(1, ceil(extract(epoch FROM v_waiting.signs_from - clock_timestamp())))::integer);
        END IF;
        v_key := signing_key_publish(p_new_kid, signing_key_in_state('signing', clock_timestamp()));
        PERFORM signing_key_published(v_key, v_principal.user_id);
    END IF;
    RETURN json_build_object('signing_key', signing_key_json(v_key, clock_timestamp()));
END;
$$;
