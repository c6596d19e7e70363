-- The key that signs now. The successor of one that is old enough is made here, so that no
-- timer is needed: with nobody asking for tokens there is nothing to rotate. So is one where
-- the last was withdrawn. Of callers that find the same need the first makes the key, and
-- the others take what it made.
CREATE OR REPLACE FUNCTION signing_key_current(p_new_kid text) RETURNS signing_keys
LANGUAGE plpgsql AS $$
DECLARE
    v_key signing_keys := signing_key_in_state('signing', clock_timestamp());
BEGIN
    IF v_key.kid IS NOT NULL
       AND (v_key.retired_at IS NOT NULL OR v_key.signs_from > clock_timestamp() - signing_key_rotation_interval()) THEN
        RETURN v_key;
    END IF;
    PERFORM signing_keys_lock();
    v_key := signing_key_in_state('signing', clock_timestamp());
    IF v_key.kid IS NULL THEN
        v_key := signing_key_publish(p_new_kid, NULL);
        PERFORM signing_key_published(v_key, NULL);
    ELSIF v_key.retired_at IS NULL AND v_key.signs_from <= clock_timestamp() - signing_key_rotation_interval() THEN
        PERFORM signing_key_published(signing_key_publish(p_new_kid, v_key), NULL);
    END IF;
    RETURN v_key;
END;
$$;
