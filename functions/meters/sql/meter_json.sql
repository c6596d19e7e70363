-- A meter as the API shows it.
CREATE OR REPLACE FUNCTION meter_json(p_meter meters) RETURNS json
LANGUAGE sql STABLE PARALLEL SAFE
RETURN json_build_object(
    'id', prefixed_id('mtr_', (p_meter).id), 'slug', (p_meter).slug, 'event_type', (p_meter).event_type,
    'aggregation', (p_meter).aggregation, 'value_property', (p_meter).value_property,
    'group_by', (p_meter).group_by, 'filters', (p_meter).filters,
    'created_at', rfc3339((p_meter).created_at), 'archived_at', rfc3339((p_meter).archived_at));
