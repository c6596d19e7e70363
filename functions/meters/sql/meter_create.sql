-- Makes a meter. It counts the events of batches that begin after this is
-- acknowledged. A name is used once, so that what it counted can still be asked
-- for when it is archived. Safe to send twice: the id is the caller's.
CREATE OR REPLACE FUNCTION meter_create(
    p_digest bytea, p_id uuid, p_slug text, p_event_type text, p_aggregation text, p_value_property text,
    p_group_by text[], p_filters text, p_max_active integer, p_max_of_type integer, p_max_ever integer
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_organization_id uuid := (authenticate(p_digest)).organization_id;
    v_hold record;
    v_caller principal;
    v_meter meters;
BEGIN
    -- Holds the organization's row, so that requests side by side do not exceed the limit.
    v_hold := organization_hold(p_digest, v_organization_id, 'meters:manage');
    IF v_hold.refusal IS NOT NULL THEN
        RETURN v_hold.refusal;
    END IF;
    v_caller := v_hold.caller;
    SELECT * INTO v_meter FROM meters WHERE organization_id = v_organization_id AND slug = p_slug;
    IF NOT FOUND THEN
        IF (SELECT count(*) FILTER (WHERE archived_at IS NULL) >= p_max_active
                   OR count(*) FILTER (WHERE archived_at IS NULL AND event_type = p_event_type) >= p_max_of_type
                   OR count(*) >= p_max_ever
              FROM meters WHERE organization_id = v_organization_id) THEN
            RETURN json_build_object('refusal', 'meter_limit');
        END IF;
        INSERT INTO meters (organization_id, id, slug, event_type, aggregation, value_property, group_by, filters,
                            filter_path)
        VALUES (v_organization_id, p_id, p_slug, p_event_type, p_aggregation, p_value_property, p_group_by,
                p_filters::jsonb, usage_filter_path(p_filters::jsonb))
        RETURNING * INTO v_meter;
        PERFORM audit_append(v_organization_id, 'meter.created', v_caller.user_id, prefixed_id('mtr_', p_id),
                             jsonb_build_object('slug', p_slug));
    ELSIF v_meter.id <> p_id THEN
        RETURN json_build_object('refusal', 'meter_exists');
    END IF;
    RETURN json_build_object('meter', meter_json(v_meter));
END;
$$;
