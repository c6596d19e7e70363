-- The organization's alerts before a position, newest first, and one more than asked
-- for if there is one.
CREATE OR REPLACE FUNCTION usage_alerts_list(p_digest bytea, p_limit integer, p_before bigint) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'usage:read');
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    RETURN (
        SELECT coalesce(json_agg(json_build_object('sequence', a.sequence, 'alert', usage_alert_json(a::usage_alerts))
                                 ORDER BY a.sequence DESC), '[]'::json)
          FROM (SELECT * FROM usage_alerts
                 WHERE organization_id = v_principal.organization_id AND sequence < p_before
                 ORDER BY sequence DESC LIMIT p_limit + 1) a);
END;
$$;
