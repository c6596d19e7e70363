-- How long a guess has to wait before it may be counted, or null. Only a look: the guess
-- itself is let through by guess_count.
CREATE OR REPLACE FUNCTION guess_wait(p_subject text, p_address text, p_guess_id uuid) RETURNS interval
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT max(locked_until) - clock_timestamp() FROM login_attempts
         WHERE subject IN (p_subject, CASE WHEN guess_is_strangers(p_subject) THEN 'address:' || p_address END)
           AND locked_until > clock_timestamp()
           -- Sent twice, it was let through by the first.
           AND last_guess_id <> p_guess_id);
END;
$$;
