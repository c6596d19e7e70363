-- The organizations that somebody who may is going to warm. The event is the platform's.
CREATE OR REPLACE FUNCTION cache_warming_begin(
    p_digest bytea, p_mode text, p_days integer, p_after uuid, p_limit integer
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'cache:manage');
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    PERFORM audit_append(NULL, 'cache.warmed', v_principal.user_id, p_mode,
                         jsonb_build_object('limit', p_limit));
    RETURN json_build_object('organization_ids', ARRAY(
        SELECT prefixed_id('org_', o.id)
          FROM unnest(cache_warmed_organizations(p_mode, p_days, p_after, p_limit)) WITH ORDINALITY AS o (id, place)
         ORDER BY o.place));
END;
$$;
