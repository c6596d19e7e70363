-- Takes back the count of one guess and leaves those of others.
CREATE OR REPLACE FUNCTION guess_discount(p_subject text, p_guess_id uuid) RETURNS void
LANGUAGE sql AS $$
    UPDATE login_attempts
       SET failures = failures - 1,
           -- It is the newest guess that the wait belongs to.
           locked_until = CASE WHEN last_guess_id <> p_guess_id THEN locked_until END
     WHERE subject = p_subject AND failures > 0
$$;
