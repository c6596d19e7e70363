-- A page of the lines of a subscription, newest first, and one more if there is one. The place of a
-- line is its version times 1,000 and its number.
CREATE OR REPLACE FUNCTION subscription_adjustments_list(
    p_digest bytea, p_id uuid, p_limit integer, p_before bigint
) RETURNS json
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_organization_id uuid := (SELECT s.organization_id FROM subscriptions s WHERE s.id = p_id);
    v_refusal json := subscription_reader_refusal(v_principal, v_organization_id);
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    IF v_organization_id IS NULL THEN
        RETURN json_build_object('refusal', 'not_found');
    END IF;
    RETURN (
        SELECT coalesce(json_agg(json_build_object(
                   'version', a.version, 'number', a.line, 'happened_at', rfc3339(a.happened_at),
                   'line', json_build_object(
                       'period_index', a.period_index, 'charge', a.charge_code, 'description', a.description,
                       'amount', money_json(a.amount, a.currency), 'from', a.from_date, 'to', a.to_date,
                       'proration', a.proration, 'share', a.share, 'share_of', a.share_of))
                   ORDER BY a.version DESC, a.line DESC), '[]'::json)
          FROM (SELECT * FROM subscription_adjustments
                 WHERE organization_id = v_organization_id AND subscription_id = p_id
                   AND (version, line) < (p_before / 1000, (p_before % 1000)::integer)
                 ORDER BY version DESC, line DESC LIMIT p_limit + 1) a);
END;
$$;
