-- Gives a user an email that is proved to be theirs; false when somebody else has it, or had it
-- until lately. Nothing is changed then.
CREATE OR REPLACE FUNCTION user_email_set(p_user_id uuid, p_email text) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE users SET email = p_email, email_verified_at = now() WHERE id = p_user_id;
    IF email_is_kept(p_email, p_user_id) THEN
        RAISE unique_violation;
    END IF;
    RETURN true;
EXCEPTION WHEN unique_violation THEN
    RETURN false;
END;
$$;
