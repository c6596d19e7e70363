-- One subscription: of the token's organization, or, to whoever manages subscriptions, of any.
CREATE OR REPLACE FUNCTION subscription_read(p_digest bytea, p_id uuid) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_subscription subscriptions;
    v_refusal json;
BEGIN
    SELECT * INTO v_subscription FROM subscriptions WHERE id = p_id;
    v_refusal := subscription_reader_refusal(v_principal, v_subscription.organization_id);
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    IF v_subscription.id IS NULL THEN
        RETURN json_build_object('refusal', 'not_found');
    END IF;
    RETURN plan_subscription_json(v_subscription);
END;
$$;
