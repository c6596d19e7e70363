-- Against what a stranger's guess at the password of an email counts: the email, known or
-- not, and the address that asks. So whoever guesses stops nobody at another address.
CREATE OR REPLACE FUNCTION guess_subject(p_email text, p_address text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN 'account:' || p_email || ' from ' || p_address;
