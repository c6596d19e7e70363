-- Publishes a key after p_current, which signs until the new one does. Without a
-- current key nobody is waiting for one, and the new key signs at once.
CREATE OR REPLACE FUNCTION signing_key_publish(p_new_kid text, p_current signing_keys) RETURNS signing_keys
LANGUAGE plpgsql AS $$
DECLARE
    v_key signing_keys;
    v_signs_from timestamptz := clock_timestamp();
BEGIN
    IF p_current.kid IS NOT NULL THEN
        v_signs_from := v_signs_from + signing_key_lead_interval();
        UPDATE signing_keys SET retired_at = v_signs_from + signing_key_tail_interval() WHERE kid = p_current.kid;
    END IF;
    INSERT INTO signing_keys (kid, created_at, signs_from) VALUES (p_new_kid, clock_timestamp(), v_signs_from)
    RETURNING * INTO v_key;
    RETURN v_key;
END;
$$;
