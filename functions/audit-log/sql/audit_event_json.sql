-- An event as the API shows it.
CREATE OR REPLACE FUNCTION audit_event_json(p_event audit_events) RETURNS json
LANGUAGE sql STABLE PARALLEL SAFE
RETURN json_build_object(
    'sequence', (p_event).sequence, 'occurred_at', rfc3339((p_event).occurred_at),
    'event_type', (p_event).event_type, 'actor_id', prefixed_id('usr_', (p_event).actor_id),
    'session_id', prefixed_id('ses_', (p_event).session_id), 'api_key_id', prefixed_id('key_', (p_event).api_key_id),
    'address', (p_event).address,
    'subject', (p_event).subject, 'detail', (p_event).detail,
    'hash', encode((p_event).hash, 'hex'), 'previous_hash', encode((p_event).previous_hash, 'hex'));
