-- What a client is told that is locked out after failed attempts, or null to go on.
CREATE OR REPLACE FUNCTION login_refusal(p_email text, p_address text) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_wait interval := login_wait(p_email, p_address);
BEGIN
    IF v_wait IS NULL THEN
        RETURN NULL;
    END IF;
    RETURN json_build_object('refusal', 'too_many_attempts',
                             'retry_after_secs', ceil(extract(epoch FROM v_wait))::integer);
END;
$$;
