-- Makes a plan. The same plan again is answered as it is, and one with the same
-- code and other terms is refused.
CREATE OR REPLACE FUNCTION plan_create(
    p_digest bytea, p_id uuid, p_code text, p_name text, p_currency text, p_billing_period text
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'plans:manage');
    v_plan plans;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    -- Looked for first, because a refused insert uses up a number of the sequence.
    SELECT * INTO v_plan FROM plans WHERE code = p_code;
    IF NOT FOUND THEN
        INSERT INTO plans (id, code, name, currency, billing_period)
        VALUES (p_id, p_code, p_name, p_currency, p_billing_period)
        ON CONFLICT (code) DO NOTHING
        RETURNING * INTO v_plan;
        IF FOUND THEN
            PERFORM audit_append(
                v_principal.organization_id, 'plan.created', v_principal.user_id, prefixed_id('pln_', p_id),
                jsonb_build_object('code', p_code, 'name', p_name, 'currency', p_currency,
                                   'billing_period', p_billing_period));
        ELSE
            -- Made by somebody else between the two statements.
            SELECT * INTO v_plan FROM plans WHERE code = p_code;
        END IF;
    END IF;
    IF v_plan.id = p_id THEN
        RETURN json_build_object('is_new', true, 'plan', plan_json(v_plan));
    END IF;
    IF (v_plan.name, v_plan.currency, v_plan.billing_period) = (p_name, p_currency, p_billing_period) THEN
        RETURN json_build_object('is_new', false, 'plan', plan_json(v_plan));
    END IF;
    RETURN json_build_object('refusal', 'plan_exists');
END;
$$;
