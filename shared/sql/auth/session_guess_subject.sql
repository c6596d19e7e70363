-- Against what guesses in a live session at the password or a code of its user count: the sign-in
-- alone, so that neither strangers nor other sign-ins stop it. A session that moves to another
-- organization brings its count along. guess_failed() reads the user.
CREATE OR REPLACE FUNCTION session_guess_subject(p_principal principal) RETURNS text
LANGUAGE sql STABLE
RETURN 'session:' || (p_principal).user_id || ':' || principal_sign_in(p_principal);
