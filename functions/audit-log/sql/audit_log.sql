-- The audit log of the token's organization, or the platform's own, newest first. Each combination
-- of filters has a statement of its own, for the index that serves it.
CREATE OR REPLACE FUNCTION audit_log(
    p_digest bytea, p_event_type text, p_since timestamptz, p_until timestamptz, p_limit integer, p_before bigint,
    p_is_platform boolean
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, CASE WHEN p_is_platform THEN 'audit:read_platform' ELSE 'audit:read' END);
    v_organization_id uuid := CASE WHEN p_is_platform THEN no_organization() ELSE v_principal.organization_id END;
    v_from bigint := 0;
    v_before bigint := p_before;
    v_events json;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    IF p_since IS NOT NULL THEN
        SELECT sequence INTO v_from FROM audit_events
         WHERE organization_id = v_organization_id AND occurred_at >= p_since
         ORDER BY occurred_at, sequence LIMIT 1;
    END IF;
    IF p_until IS NOT NULL THEN
        SELECT least(p_before, sequence) INTO v_before FROM audit_events
         WHERE organization_id = v_organization_id AND occurred_at >= p_until
         ORDER BY occurred_at, sequence LIMIT 1;
        v_before := coalesce(v_before, p_before);
    END IF;
    -- Nothing since then leaves v_from null, and the list empty.
    IF p_event_type IS NULL THEN
        SELECT json_agg(audit_event_json(e) ORDER BY e.sequence DESC) INTO v_events
          FROM (SELECT * FROM audit_events
                 WHERE organization_id = v_organization_id
                   AND sequence >= v_from AND sequence < v_before
                 ORDER BY sequence DESC LIMIT p_limit + 1) e;
    ELSE
        SELECT json_agg(audit_event_json(e) ORDER BY e.sequence DESC) INTO v_events
          FROM (SELECT * FROM audit_events
                 WHERE organization_id = v_organization_id AND event_type = p_event_type
                   AND sequence >= v_from AND sequence < v_before
                 ORDER BY sequence DESC LIMIT p_limit + 1) e;
    END IF;
    RETURN coalesce(v_events, '[]'::json);
END;
$$;
