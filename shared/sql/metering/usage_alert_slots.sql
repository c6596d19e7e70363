-- What a meter counted in each quarter of an hour of a range, for a subject or, when
-- that is empty, for all.
CREATE OR REPLACE FUNCTION usage_alert_slots(
    p_organization_id uuid, p_meter_id uuid, p_subject text, p_since timestamptz, p_until timestamptz
) RETURNS TABLE (slot_at timestamptz, value numeric)
LANGUAGE sql STABLE AS $$
    SELECT s.slot_at, usage_value(m.aggregation, s.events, s.total, NULL, NULL, NULL)
      FROM meters m, LATERAL (
          SELECT r.slot_at, sum(r.events)::bigint AS events, sum(r.total) AS total
            FROM usage_rollups r
           WHERE p_subject = '' AND r.organization_id = p_organization_id AND r.meter_id = p_meter_id
             AND r.slot_at >= p_since AND r.slot_at < p_until
           GROUP BY r.slot_at
          UNION ALL
          SELECT r.slot_at, sum(r.events)::bigint, sum(r.total)
            FROM usage_subject_rollups r
           WHERE p_subject <> '' AND r.organization_id = p_organization_id AND r.meter_id = p_meter_id
             AND r.subject = p_subject AND r.slot_at >= p_since AND r.slot_at < p_until
           GROUP BY r.slot_at) s
     WHERE m.organization_id = p_organization_id AND m.id = p_meter_id
$$;
