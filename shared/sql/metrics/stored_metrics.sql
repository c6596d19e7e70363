-- What the database keeps of what the application does, as shared::metrics shows it. It is read
-- every few seconds, so each part looks at a bounded number of rows: the counts are those of the
-- hours that are kept, and messages are counted up to 10,000.
CREATE OR REPLACE FUNCTION stored_metrics() RETURNS json
LANGUAGE sql STABLE
-- Compiling the statement takes longer than running it.
SET jit = off AS $$
    WITH outbox AS (
        SELECT (SELECT count(*) FROM (SELECT 1 FROM outbox_messages WHERE settled_at IS NULL LIMIT 10000) m) AS messages,
               (SELECT min(next_attempt_at) FROM outbox_messages WHERE settled_at IS NULL) AS due_at
    ), counts AS (
        SELECT name, component, label, sum(count)::bigint AS count FROM operation_counts GROUP BY name, component, label
    )
    SELECT json_build_object(
        'outbox', (SELECT json_build_object(
            'messages', messages,
            'oldest_due_age_millis', greatest(0, coalesce(unix_millis(now()) - unix_millis(due_at), 0))) FROM outbox),
        'postgres', (SELECT json_build_object(
            'connections', (SELECT sum(numbackends) FROM pg_stat_database),
            'max_connections', current_setting('max_connections')::integer,
            'committed', d.xact_commit, 'rolled_back', d.xact_rollback, 'deadlocks', d.deadlocks,
            'blocks_hit', d.blks_hit, 'blocks_read', d.blks_read)
          FROM pg_stat_database d WHERE d.datname = current_database()),
        'counts', (SELECT coalesce(json_agg(json_build_object(
            'name', name, 'component', component, 'label', label, 'count', count)
            ORDER BY name, component, label), '[]'::json) FROM counts))
$$;
