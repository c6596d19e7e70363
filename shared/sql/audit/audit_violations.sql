-- The first broken link of each chain that has one.
CREATE OR REPLACE FUNCTION audit_violations() RETURNS TABLE (organization_id uuid, sequence bigint, violation text)
LANGUAGE sql STABLE AS $$
    WITH links AS (
        SELECT e.organization_id, e.sequence,
               CASE
                   WHEN e.sequence <> coalesce(lag(e.sequence) OVER chain, 0) + 1 THEN 'an event is missing before this one'
                   WHEN e.previous_hash <> coalesce(lag(e.hash) OVER chain, '\x') THEN 'the link to the previous event is broken'
                   WHEN e.hash <> audit_hash(e) THEN 'the event was changed'
               END AS violation
          FROM audit_events e
        WINDOW chain AS (PARTITION BY e.organization_id ORDER BY e.sequence)
    ), ends AS (
        SELECT h.organization_id, h.sequence, 'the newest events are missing'
          FROM audit_heads h
         WHERE NOT EXISTS (SELECT 1 FROM audit_events e
                            WHERE e.organization_id = h.organization_id
                              AND e.sequence = h.sequence AND e.hash = h.hash)
           AND h.sequence > 0
    )
    SELECT DISTINCT ON (organization_id) organization_id, sequence, violation
      FROM (SELECT * FROM links WHERE violation IS NOT NULL UNION ALL SELECT * FROM ends) broken
     ORDER BY organization_id, sequence
$$;
