-- Whether an email is kept for somebody else, whose change of it can still be undone. Whoever
-- changes who has an email asks after they wrote it: so an undoing that was just made possible is
-- seen.
CREATE OR REPLACE FUNCTION email_is_kept(p_email text, p_user_id uuid) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT 1 FROM email_tokens t
                    WHERE t.email = p_email AND t.purpose = 'undo_email_change' AND t.spent_at IS NULL
                      AND t.expires_at > now() AND t.user_id <> p_user_id)
$$;
