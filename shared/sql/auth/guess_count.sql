-- Counts a guess before it is verified. Null when it may be verified now, or how long until
-- one may. Of N guesses at the same moment the row lets those through that the limit
-- allows, on however many hosts they are. What is not let through is not counted.
--
-- Sent twice, the guess is known by its id. Some time without a guess ends the count
-- (guess_count_interval()), and each new guess sweeps up to ten counts that have ended, so that
-- strangers who guess do not make the table grow.
CREATE OR REPLACE FUNCTION guess_count(p_subject text, p_guess_id uuid, p_free integer) RETURNS interval
LANGUAGE plpgsql AS $$
DECLARE
    v_wait interval;
BEGIN
    INSERT INTO login_attempts AS a (subject, failures, last_failed, last_guess_id)
    VALUES (p_subject, 1, clock_timestamp(), p_guess_id)
    ON CONFLICT (subject) DO UPDATE
       SET failures = CASE WHEN a.last_failed < clock_timestamp() - guess_count_interval() THEN 1 ELSE a.failures + 1 END,
           last_failed = clock_timestamp(),
           last_guess_id = p_guess_id,
           locked_until = clock_timestamp() + guess_delay(
               CASE WHEN a.last_failed < clock_timestamp() - guess_count_interval() THEN 1 ELSE a.failures + 1 END, p_free)
     WHERE a.last_guess_id <> p_guess_id
       AND (a.locked_until IS NULL OR a.locked_until <= clock_timestamp());
    IF NOT FOUND THEN
        SELECT CASE WHEN last_guess_id <> p_guess_id THEN coalesce(locked_until - clock_timestamp(), interval '0') END
          INTO v_wait FROM login_attempts WHERE subject = p_subject;
        -- The wait may have been taken away since. The guess was not counted all the same.
        RETURN CASE WHEN FOUND THEN v_wait ELSE interval '0' END;
    END IF;
    DELETE FROM login_attempts WHERE subject IN (
        SELECT subject FROM login_attempts WHERE last_failed < clock_timestamp() - guess_count_interval()
         ORDER BY last_failed LIMIT 10 FOR UPDATE SKIP LOCKED);
    RETURN NULL;
END;
$$;
