-- Closes the usage of an organization until a time, for whoever may close it: the
-- permission is the platform's.
CREATE OR REPLACE FUNCTION usage_closed_period_put(p_digest bytea, p_organization_id uuid, p_until timestamptz) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'usage:close');
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    RETURN usage_period_close(p_organization_id, p_until, v_principal.user_id);
END;
$$;
