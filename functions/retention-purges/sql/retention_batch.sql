-- Deletes up to p_max_rows of what has lapsed by one rule, and says how many. A row that somebody
-- else holds is left: they are deleting it, or it is in use again.
CREATE OR REPLACE FUNCTION retention_batch(
    p_table_name text, p_moment text, p_condition text, p_kept interval, p_max_rows integer
) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    v_deleted integer;
BEGIN
    EXECUTE format('DELETE FROM %I WHERE ctid = ANY (ARRAY(SELECT r.ctid %s FOR UPDATE OF r SKIP LOCKED))',
                   p_table_name, retention_lapsed(p_table_name, p_moment, p_condition))
      USING now() - p_kept, p_max_rows;
    GET DIAGNOSTICS v_deleted = ROW_COUNT;
    RETURN v_deleted;
END;
$$;
