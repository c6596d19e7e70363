-- Records what became of messages: a list of {"organization_id", "id", "error"}, where no error
-- is success. A message is given up after p_max_attempts. Its token is wiped when
-- it is settled either way.
CREATE OR REPLACE FUNCTION outbox_record(p_results jsonb, p_max_attempts integer, p_max_error_chars integer) RETURNS json
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE outbox_messages m
       SET is_sent = r.error IS NULL,
           last_error = left(r.error, p_max_error_chars),
           settled_at = CASE WHEN r.error IS NULL OR m.attempts >= p_max_attempts THEN now() END,
           token = CASE WHEN r.error IS NULL OR m.attempts >= p_max_attempts THEN NULL ELSE m.token END,
           next_attempt_at = now() + outbox_delay(m.attempts)
      FROM jsonb_to_recordset(p_results) AS r (organization_id uuid, id uuid, error text)
     WHERE m.organization_id = r.organization_id AND m.id = r.id AND m.settled_at IS NULL;
    RETURN 'null'::json;
END;
$$;
