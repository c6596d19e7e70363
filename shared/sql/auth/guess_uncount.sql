-- Takes back the count of a guess in the transaction that counted it. It held the row since, so
-- it is the newest, and the wait before it was over.
CREATE OR REPLACE FUNCTION guess_uncount(p_subject text, p_guess_id uuid) RETURNS void
LANGUAGE sql AS $$
    UPDATE login_attempts
       -- Sent twice, it is counted anew.
       SET failures = failures - 1, locked_until = NULL, last_guess_id = '00000000-0000-0000-0000-000000000000'
     WHERE subject = p_subject AND last_guess_id = p_guess_id
$$;
