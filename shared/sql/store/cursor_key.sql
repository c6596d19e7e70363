-- The key under which cursors have their codes.
CREATE OR REPLACE FUNCTION cursor_key() RETURNS bytea
LANGUAGE sql STABLE PARALLEL SAFE
RETURN (SELECT secret FROM cursor_secrets);
