-- A page of plans, newest first, and one more if there is one.
CREATE OR REPLACE FUNCTION plans_list(p_digest bytea, p_limit integer, p_before bigint) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_refusal json := refusal(authenticate(p_digest), 'plans:read');
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    RETURN (
        SELECT coalesce(json_agg(plan_json(p) ORDER BY p.sequence DESC), '[]'::json)
          FROM (SELECT * FROM plans WHERE sequence < p_before ORDER BY sequence DESC LIMIT p_limit + 1) p);
END;
$$;
