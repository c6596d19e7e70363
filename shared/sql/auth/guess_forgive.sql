-- Takes back the count of a guess that was right, and of those before it.
CREATE OR REPLACE FUNCTION guess_forgive(p_subject text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM login_attempts WHERE subject = p_subject;
END;
$$;
