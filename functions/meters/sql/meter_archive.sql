-- Lets a meter count no more; what it has counted stays.
CREATE OR REPLACE FUNCTION meter_archive(p_digest bytea, p_slug text) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'meters:manage');
    v_meter meters;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    SELECT * INTO v_meter FROM meters
     WHERE organization_id = v_principal.organization_id AND slug = p_slug FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN json_build_object('refusal', 'not_found');
    END IF;
    IF v_meter.archived_at IS NULL THEN
        UPDATE meters SET archived_at = now()
         WHERE organization_id = v_principal.organization_id AND id = v_meter.id
        RETURNING * INTO v_meter;
        PERFORM audit_append(v_principal.organization_id, 'meter.archived', v_principal.user_id,
                             prefixed_id('mtr_', v_meter.id), jsonb_build_object('slug', p_slug));
    END IF;
    RETURN json_build_object('meter', meter_json(v_meter));
END;
$$;
