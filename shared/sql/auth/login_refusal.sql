-- What a client is told whose account or address is locked out, or null to go on. An
-- unknown email is locked out exactly as a known one.
CREATE OR REPLACE FUNCTION login_refusal(p_email text, p_address text) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_wait interval := (
        SELECT max(locked_until) - now() FROM login_attempts
         WHERE subject IN ('account:' || p_email, 'address:' || p_address) AND locked_until > now());
BEGIN
    IF v_wait IS NULL THEN
        RETURN NULL;
    END IF;
    RETURN json_build_object('refusal', 'too_many_attempts',
                             'retry_after_secs', ceil(extract(epoch FROM v_wait))::integer);
END;
$$;
