-- Makes the partitions of the months ahead and drops those whose events are all older than
-- p_retention_months. Keys and sums stay. Counts of operations of long ago become one number each.
-- Of two calls at once one does it, and the other is told so.
CREATE OR REPLACE FUNCTION usage_upkeep(p_digest bytea, p_months_ahead integer, p_retention_months integer) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'usage:upkeep');
    v_this_month timestamp := date_trunc('month', now() AT TIME ZONE 'UTC');
    v_month timestamp;
    v_partition text;
    v_created text[] := '{}'::text[];
    v_dropped text[] := '{}'::text[];
    v_missing text[] := '{}'::text[];
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    -- Ends with the transaction, so that nobody who fails keeps it.
    IF NOT pg_try_advisory_xact_lock(hashtext('usage_upkeep')) THEN
        RETURN json_build_object('status', 'already_running', 'created', v_created, 'dropped', v_dropped,
                                 'missing', v_missing);
    END IF;
    FOR v_months IN -2..p_months_ahead LOOP
        v_month := v_this_month + make_interval(months => v_months);
        IF usage_partition_create(v_month) THEN
            v_created := v_created || to_char(v_month, 'YYYY-MM');
        ELSIF to_regclass(usage_partition_name(v_month)) IS NULL THEN
            v_missing := v_missing || to_char(v_month, 'YYYY-MM');
        END IF;
    END LOOP;
    FOR v_partition IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
         WHERE i.inhparent = 'usage_event_batches'::regclass
           -- A name sorts as its month does.
           AND c.relname ~ '^usage_event_batches_[0-9]{4}_[0-9]{2}$'
           AND c.relname < usage_partition_name(v_this_month - make_interval(months => p_retention_months))
         ORDER BY c.relname
    LOOP
        EXECUTE format('DROP TABLE %I', v_partition);
        v_dropped := v_dropped || replace(right(v_partition, 7), '_', '-');
    END LOOP;
    PERFORM operation_counts_fold();
    RETURN json_build_object('status', 'done', 'created', v_created, 'dropped', v_dropped, 'missing', v_missing);
END;
$$;
