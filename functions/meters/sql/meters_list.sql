-- The meters of the organization, newest first. There are few: meter_create sees to it.
CREATE OR REPLACE FUNCTION meters_list(p_digest bytea) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'usage:read');
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    RETURN json_build_object('meters', (
        SELECT coalesce(json_agg(meter_json(m) ORDER BY m.created_at DESC, m.id DESC), '[]'::json)
          FROM meters m WHERE m.organization_id = v_principal.organization_id));
END;
$$;
