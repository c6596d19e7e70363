-- Tells a user by mail what has just happened to their account, unless they were told of as many of
-- the kind within the day as may be. It is called in the transaction that makes it happen, once:
-- a statement that finds it done already does not come here.
CREATE OR REPLACE FUNCTION notice_add(p_user_id uuid, p_kind text, p_detail jsonb DEFAULT '{}') RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO notice_counts AS c (user_id, kind, day_started, sent) VALUES (p_user_id, p_kind, now(), 1)
    ON CONFLICT (user_id, kind) DO UPDATE
       SET sent = CASE WHEN c.day_started <= now() - interval '1 day' THEN 1 ELSE c.sent + 1 END,
           day_started = CASE WHEN c.day_started <= now() - interval '1 day' THEN now() ELSE c.day_started END
     WHERE c.day_started <= now() - interval '1 day' OR c.sent < notices_per_day();
    IF FOUND THEN
        PERFORM outbox_add(no_organization(), owned_id(no_organization(), time_ordered_id()), p_kind, u.email, NULL,
                           p_detail)
           FROM users u WHERE u.id = p_user_id;
    END IF;
END;
$$;
