-- The subscription of the token's organization, or, to whoever manages
-- subscriptions, of any.
CREATE OR REPLACE FUNCTION organization_subscription_read(p_digest bytea, p_organization_id uuid) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json;
    v_subscription organization_subscriptions;
BEGIN
    IF v_principal.user_id IS NULL OR 'subscriptions:manage' <> ALL (v_principal.permissions) THEN
        v_refusal := organization_refusal(v_principal, p_organization_id, 'billing:read');
        IF v_refusal IS NOT NULL THEN
            RETURN v_refusal;
        END IF;
    END IF;
    SELECT * INTO v_subscription FROM organization_subscriptions WHERE organization_id = p_organization_id;
    IF NOT FOUND THEN
        RETURN json_build_object('refusal', 'not_found');
    END IF;
    RETURN json_build_object('token_expires_millis', unix_millis(v_principal.expires_at),
                             'subscription', subscription_json(v_subscription));
END;
$$;
