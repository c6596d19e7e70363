-- How long the account or the address is locked out; null when neither is. An
-- unknown email is locked out exactly as a known one.
CREATE OR REPLACE FUNCTION login_wait(p_email text, p_address text) RETURNS interval
LANGUAGE sql STABLE AS $$
    SELECT max(locked_until) - now() FROM login_attempts
     WHERE subject IN ('account:' || p_email, 'address:' || p_address) AND locked_until > now()
$$;
