-- The invitations that can be accepted, newest first.
CREATE OR REPLACE FUNCTION organization_invitations(p_digest bytea, p_organization_id uuid, p_limit integer) RETURNS json
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := organization_refusal(v_principal, p_organization_id, 'members:manage');
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    RETURN json_build_object('invitations', (
        SELECT coalesce(json_agg(invitation_json(i::invitations) ORDER BY i.created_at DESC, i.id DESC), '[]'::json)
          FROM (SELECT v.* FROM invitations v
                 WHERE v.organization_id = p_organization_id AND invitation_is_live(v)
                 ORDER BY v.created_at DESC, v.id DESC LIMIT p_limit) i));
END;
$$;
