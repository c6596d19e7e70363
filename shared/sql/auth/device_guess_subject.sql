-- Against what the guesses of a device count that its user signed in from.
CREATE OR REPLACE FUNCTION device_guess_subject(p_device_id uuid) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN 'device:' || p_device_id;
