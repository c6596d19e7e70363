-- The members, newest first: one more than the page holds if there is one.
CREATE OR REPLACE FUNCTION organization_members(
    p_digest bytea, p_organization_id uuid, p_limit integer, p_before bigint
) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := organization_refusal(v_principal, p_organization_id, 'organization:read');
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    RETURN (
        SELECT coalesce(json_agg(member_json(m) ORDER BY m.sequence DESC), '[]'::json)
          FROM (SELECT * FROM memberships
                 WHERE organization_id = p_organization_id AND sequence < p_before
                 ORDER BY sequence DESC LIMIT p_limit + 1) m);
END;
$$;
