-- Refuses a token that may not have prices estimated; null for any other.
CREATE OR REPLACE FUNCTION pricing_estimate_begin(p_digest bytea) RETURNS json
LANGUAGE plpgsql AS $$
BEGIN
    RETURN coalesce(refusal(authenticate(p_digest), 'plans:read'), 'null'::json);
END;
$$;
