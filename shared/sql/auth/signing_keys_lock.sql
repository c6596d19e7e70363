-- Lets one transaction at a time decide which keys there are.
CREATE OR REPLACE FUNCTION signing_keys_lock() RETURNS void
LANGUAGE sql AS $$ SELECT pg_advisory_xact_lock(hashtext('signing_keys'), 0) $$;
