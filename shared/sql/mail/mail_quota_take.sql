-- Counts one mail: null when it may go, or how long until one may.
CREATE OR REPLACE FUNCTION mail_quota_take(p_subject text, p_max integer) RETURNS interval
LANGUAGE plpgsql AS $$
DECLARE
    v_quota mail_quota;
BEGIN
    INSERT INTO mail_quota AS q (subject, window_started, sent) VALUES (p_subject, now(), 1)
    ON CONFLICT (subject) DO UPDATE
       SET sent = CASE WHEN q.window_started <= now() - mail_quota_window() THEN 1
                       -- One above the bound says "over" as well as any number.
                       ELSE least(q.sent, p_max) + 1 END,
           window_started = CASE WHEN q.window_started <= now() - mail_quota_window() THEN now()
                                 ELSE q.window_started END
    RETURNING * INTO v_quota;
    DELETE FROM mail_quota WHERE subject IN (
        SELECT subject FROM mail_quota WHERE window_started < now() - retention_interval('mail_quota')
         ORDER BY window_started LIMIT 10 FOR UPDATE SKIP LOCKED);
    IF v_quota.sent > p_max THEN
        RETURN v_quota.window_started + mail_quota_window() - now();
    END IF;
    RETURN NULL;
END;
$$;
