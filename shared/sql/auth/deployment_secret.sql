-- The secret that is kept, which is the first that was offered.
CREATE OR REPLACE FUNCTION deployment_secret(p_offered bytea) RETURNS bytea
LANGUAGE plpgsql AS $$
DECLARE
    v_secret bytea;
BEGIN
    SELECT secret INTO v_secret FROM deployment_secrets;
    IF NOT FOUND THEN
        INSERT INTO deployment_secrets (secret) VALUES (p_offered) ON CONFLICT DO NOTHING;
        SELECT secret INTO v_secret FROM deployment_secrets;
    END IF;
    RETURN v_secret;
END;
$$;
