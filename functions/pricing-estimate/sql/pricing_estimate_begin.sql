-- Whether the token may have prices estimated that it brings itself.
CREATE OR REPLACE FUNCTION pricing_estimate_begin(p_digest bytea) RETURNS json
LANGUAGE plpgsql AS $$
BEGIN
    RETURN coalesce(refusal(authenticate(p_digest), 'plans:read'), json_build_object('outcome', 'allowed'));
END;
$$;
