-- A hold of the token's user in its organization. One that has lapsed is expired, whether or
-- not that is posted.
CREATE OR REPLACE FUNCTION credits_hold_find(p_digest bytea, p_hold_id uuid) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'credits:consume');
    v_currency text;
    v_hold credit_holds;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    SELECT * INTO v_hold FROM credit_holds WHERE organization_id = v_principal.organization_id AND id = p_hold_id;
    SELECT currency INTO v_currency FROM credit_accounts
     WHERE organization_id = v_principal.organization_id AND id = v_hold.account_id AND user_id = v_principal.user_id;
    IF NOT FOUND THEN
        RETURN json_build_object('refusal', 'not_found');
    END IF;
    IF v_hold.state = 'open' AND v_hold.expires_at <= statement_timestamp() THEN
        v_hold.state := 'expired';
        v_hold.settled_at := v_hold.expires_at;
    END IF;
    RETURN json_build_object('hold', credit_hold_json(v_hold, v_currency));
END;
$$;
