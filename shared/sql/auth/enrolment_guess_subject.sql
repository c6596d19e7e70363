-- Against what guesses in a live session at the first code of an enrolment count. Whoever began the
-- enrolment knows the right code, which ends this count and not the count of guesses at the
-- password.
CREATE OR REPLACE FUNCTION enrolment_guess_subject(p_principal principal) RETURNS text
LANGUAGE sql STABLE
RETURN 'enrolment:' || (p_principal).user_id || ':' || principal_sign_in(p_principal);
