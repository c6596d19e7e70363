-- What the database keeps of what the application does, for whoever may read it.
CREATE OR REPLACE FUNCTION metrics_read(p_digest bytea) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_refusal json := refusal(authenticate(p_digest), 'metrics:read');
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    RETURN stored_metrics();
END;
$$;
