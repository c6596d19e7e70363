-- A transfer as the API shows it: signed by its effect on what is available, or,
-- where it has none, by whether the credits come to the user or leave them.
CREATE OR REPLACE FUNCTION transfer_json(p_transfer ledger_transfers, p_currency text) RETURNS json
LANGUAGE sql STABLE PARALLEL SAFE
RETURN json_build_object(
    'id', prefixed_id('ctx_', (p_transfer).id),
    'kind', (p_transfer).kind,
    'amount', money_json(CASE WHEN (p_transfer).credited IN ('available', 'pending')
                              THEN (p_transfer).amount ELSE -(p_transfer).amount END, p_currency),
    'available_after', money_json((p_transfer).available_after, p_currency),
    'debited', (p_transfer).debited,
    'credited', (p_transfer).credited,
    'description', (p_transfer).description,
    'service', (p_transfer).service,
    'model', (p_transfer).model,
    'occurred_at', rfc3339(coalesce((p_transfer).occurred_at, (p_transfer).created_at)),
    'created_at', rfc3339((p_transfer).created_at));
