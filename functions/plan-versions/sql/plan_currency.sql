-- The currency of a plan, for a version that leaves it out. It never changes.
CREATE OR REPLACE FUNCTION plan_currency(p_digest bytea, p_code text) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_refusal json := refusal(authenticate(p_digest), 'plans:manage');
    v_currency text;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    SELECT currency INTO v_currency FROM plans WHERE code = p_code;
    IF NOT FOUND THEN
        RETURN json_build_object('refusal', 'not_found');
    END IF;
    RETURN to_json(v_currency);
END;
$$;
