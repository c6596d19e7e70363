-- The enrolment in force, as hexadecimal digits; null when none is. One that the platform removes is
-- in force until its time has come.
CREATE OR REPLACE FUNCTION totp_enrolment(p_user_id uuid) RETURNS text
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT encode(enrolment, 'hex') FROM totp_enrolments
         WHERE user_id = p_user_id AND confirmed_at IS NOT NULL
           AND (removal_due_at IS NULL OR removal_due_at > now()));
END;
$$;
