-- Makes an account new, beside what sessions_end() ends for it: whoever had it before somebody
-- proved the email is a stranger to its owner. Their second factor goes, with its recovery codes; if
-- the platform had removed it, the log says so as it does at any other time.
--
-- Its organizations stay. The stranger has let nobody into them, because an account whose email
-- nobody has proved invites nobody.
CREATE OR REPLACE FUNCTION account_renew(p_user_id uuid) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    -- Links that would give back an email are those of the one who had it.
    UPDATE email_tokens SET spent_at = now() WHERE user_id = p_user_id AND spent_at IS NULL;
    PERFORM second_factor_remove_due(p_user_id, user_home_organization(p_user_id));
    DELETE FROM totp_enrolments WHERE user_id = p_user_id;
    DELETE FROM recovery_codes WHERE user_id = p_user_id;
END;
$$;
