-- A grant as the API shows it.
CREATE OR REPLACE FUNCTION credit_grant_json(p_grant credit_grants, p_currency text) RETURNS json
LANGUAGE sql STABLE PARALLEL SAFE
RETURN json_build_object(
    'id', prefixed_id('cgr_', (p_grant).id), 'kind', (p_grant).kind, 'priority', (p_grant).priority,
    'state', (p_grant).state,
    'amount', money_json((p_grant).amount, p_currency),
    'remaining', money_json((p_grant).remaining, p_currency),
    'held', money_json((p_grant).held, p_currency),
    'description', (p_grant).description,
    'effective_at', rfc3339((p_grant).effective_at),
    'expires_at', CASE WHEN (p_grant).expires_at < 'infinity' THEN rfc3339((p_grant).expires_at) END,
    'voided_at', rfc3339((p_grant).voided_at), 'created_at', rfc3339((p_grant).created_at));
