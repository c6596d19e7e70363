-- The newest messages to anybody, for a developer's machine. The ids are in the
-- order of time.
CREATE OR REPLACE FUNCTION outbox_messages_newest(p_limit integer) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT coalesce(json_agg(json_build_object(
               'id', prefixed_id('msg_', m.id), 'kind', m.kind, 'to', m.recipient, 'token', m.token,
               'detail', m.detail, 'created_at', rfc3339(m.created_at)) ORDER BY m.id DESC), '[]'::json)
      FROM (SELECT * FROM outbox_messages WHERE recipient <> '' ORDER BY id DESC LIMIT p_limit) m
$$;
