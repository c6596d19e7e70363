-- A hold as the API shows it.
CREATE OR REPLACE FUNCTION credit_hold_json(p_hold credit_holds, p_currency text) RETURNS json
LANGUAGE sql STABLE PARALLEL SAFE
RETURN json_build_object(
    'id', prefixed_id('hld_', (p_hold).id), 'state', (p_hold).state,
    'amount', money_json((p_hold).amount, p_currency), 'captured', money_json((p_hold).captured, p_currency),
    'description', (p_hold).description, 'service', (p_hold).service, 'model', (p_hold).model,
    'expires_at', rfc3339((p_hold).expires_at), 'created_at', rfc3339((p_hold).created_at),
    'settled_at', rfc3339((p_hold).settled_at));
