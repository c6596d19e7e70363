-- The facts of the subscriptions that have waited longest for something that time does. Those that
-- somebody else holds are left to them.
CREATE OR REPLACE FUNCTION subscriptions_due(p_digest bytea, p_limit integer) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'subscriptions:manage');
    v_now timestamptz := clock_timestamp();
    v_ids uuid[];
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    -- Read once more when they are held: what was committed until then is in the facts.
    v_ids := ARRAY(
        SELECT id FROM subscriptions
         WHERE status <> 'canceled' AND NOT is_test AND next_due_at <= v_now AND set_aside_until <= v_now
         ORDER BY next_due_at LIMIT p_limit
           FOR NO KEY UPDATE SKIP LOCKED);
    RETURN json_build_object('due', (
        SELECT coalesce(json_agg(subscription_facts(s, v_now, NULL, NULL) ORDER BY s.next_due_at), '[]'::json)
          FROM subscriptions s WHERE s.id = ANY (v_ids)));
END;
$$;
