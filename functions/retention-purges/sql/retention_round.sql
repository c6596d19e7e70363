-- Deletes up to p_max_rows of each rule. Of two calls at once one does it, and the other is told so.
CREATE OR REPLACE FUNCTION retention_round(p_max_rows integer) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_rule record;
    v_rows integer;
    v_deleted jsonb;
    v_is_complete boolean := true;
BEGIN
    SELECT jsonb_object_agg(table_name, 0) INTO v_deleted FROM retention_rules();
    -- Ends with the transaction, so that nobody who fails keeps it.
    IF NOT pg_try_advisory_xact_lock(hashtext('retention'), 0) THEN
        RETURN json_build_object('status', 'already_running', 'deleted', v_deleted, 'is_complete', false);
    END IF;
    FOR v_rule IN SELECT * FROM retention_rules() LOOP
        -- Their tokens first: else all sessions are passed over that wait for them.
        CONTINUE WHEN v_rule.table_name = 'sessions' AND NOT v_is_complete;
        v_rows := retention_batch(v_rule.table_name, v_rule.moment, v_rule.condition, v_rule.kept, p_max_rows);
        v_deleted := v_deleted || jsonb_build_object(v_rule.table_name, (v_deleted ->> v_rule.table_name)::integer + v_rows);
        v_is_complete := v_is_complete AND v_rows < p_max_rows;
    END LOOP;
    RETURN json_build_object('status', 'done', 'deleted', v_deleted, 'is_complete', v_is_complete);
END;
$$;
