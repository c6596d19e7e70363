-- Stores a batch for whoever the token belongs to, and fires the alerts that it sets
-- off. Sent twice, the second stores no event, adds nothing and fires nothing.
CREATE OR REPLACE FUNCTION usage_ingest(
    p_digest bytea, p_keys integer[], p_sources text[], p_ids text[], p_subjects text[], p_types text[],
    p_times bigint[], p_properties text[], p_is_atomic boolean
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'usage:write');
    v_stored record;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    PERFORM usage_alerts_hold_together(v_principal.organization_id);
    v_stored := usage_batch_store(v_principal.organization_id, p_keys, p_sources, p_ids, p_subjects, p_types,
                                  p_times, p_properties, p_is_atomic);
    PERFORM usage_alerts_count(v_principal.organization_id, v_stored.deltas);
    RETURN v_stored.answer;
END;
$$;
