-- Adds what an instance has counted to the current hour, and says whether it did. It does not
-- where it may only read, nor while another instance of the component is at it: nobody waits for a
-- count, and the instance tries again.
CREATE OR REPLACE FUNCTION operation_counts_add(
    p_component text, p_names text[], p_labels text[], p_counts bigint[]
) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('transaction_read_only')::boolean
       OR NOT pg_try_advisory_xact_lock(hashtext('operation_counts'), hashtext(p_component)) THEN
        RETURN false;
    END IF;
    -- A crash may take the counts of its last moments.
    PERFORM set_config('synchronous_commit', 'off', true);
    INSERT INTO operation_counts AS o (name, component, label, hour, count)
    SELECT c.name, p_component, c.label, date_trunc('hour', now(), 'UTC'), c.count
      FROM unnest(p_names, p_labels, p_counts) AS c (name, label, count)
    ON CONFLICT (name, component, label, hour) DO UPDATE SET count = o.count + excluded.count;
    RETURN true;
END;
$$;
