-- The key under which cursors have their codes.
CREATE OR REPLACE FUNCTION cursor_key() RETURNS bytea
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RETURN (SELECT secret FROM cursor_secrets);
END;
$$;
