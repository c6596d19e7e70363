-- One plan, by its code.
CREATE OR REPLACE FUNCTION plan_read(p_digest bytea, p_code text) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_refusal json := refusal(authenticate(p_digest), 'plans:read');
    v_plan plans;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    SELECT * INTO v_plan FROM plans WHERE code = p_code;
    IF NOT FOUND THEN
        RETURN json_build_object('refusal', 'not_found');
    END IF;
    RETURN json_build_object('plan', plan_json(v_plan));
END;
$$;
