-- Counts one mail, and tells whether it may go. An asker is an address, and has a quota of its
-- own for each email and purpose, so that nobody uses up another's.
--
-- Many askers together have a quota too. Beyond it a mail to the email of p_user_id is kept
-- back only while an earlier one of the purpose is there, whose link is good and was sent
-- shortly before. So whoever waits for a link gets one, however many others ask. Mail to
-- nobody's email, or without a link (p_user_id is null), is always kept back beyond it.
CREATE OR REPLACE FUNCTION mail_is_allowed(
    p_purpose text, p_email text, p_address text, p_max integer, p_user_id uuid
) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    -- What is over the asker's own quota is not counted for all.
    IF mail_quota_take('asker:' || p_purpose || ':' || p_email || ' from ' || p_address, p_max) IS NOT NULL THEN
        RETURN false;
    END IF;
    IF mail_quota_take('email:' || p_purpose || ':' || p_email, p_max) IS NULL THEN
        RETURN true;
    END IF;
    RETURN p_user_id IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM email_tokens t
         WHERE t.user_id = p_user_id AND t.purpose = p_purpose AND t.spent_at IS NULL AND t.email = p_email
           AND email_token_is_good(t) AND t.created_at > now() - mail_spacing());
END;
$$;
