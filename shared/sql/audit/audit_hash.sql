-- What a link's hash covers: every column, in one unambiguous JSON array.
CREATE OR REPLACE FUNCTION audit_hash(p_event audit_events) RETURNS bytea
LANGUAGE sql STABLE PARALLEL SAFE
RETURN sha256((p_event).previous_hash || convert_to(jsonb_build_array(
    (p_event).organization_id, (p_event).sequence, rfc3339((p_event).occurred_at),
    (p_event).event_type, (p_event).actor_id, (p_event).session_id, (p_event).api_key_id, (p_event).address,
    (p_event).subject, (p_event).detail)::text, 'UTF8'));
