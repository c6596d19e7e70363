-- Settles the entitlements of long periods that have waited longest, so that no check sums up
-- years, and says of how many. Each is a transaction of its own. An entitlement that somebody
-- else holds is left to the next call.
CREATE OR REPLACE PROCEDURE entitlements_settle(p_digest bytea, INOUT p_answer text)
LANGUAGE plpgsql AS $$
DECLARE
    v_entitlement entitlements;
    v_count integer := 0;
    v_now timestamptz := clock_timestamp();
    v_until timestamptz := v_now + max_settling_time();
    v_final_at timestamptz := entitlement_final_at(v_now);
BEGIN
    p_answer := refusal(authenticate(p_digest), 'usage:upkeep');
    IF p_answer IS NOT NULL THEN
        RETURN;
    END IF;
    WHILE clock_timestamp() < v_until LOOP
        SELECT * INTO v_entitlement FROM entitlements
         WHERE is_current AND period IN ('year', 'never') AND coalesce(settled_until, '-infinity') < v_final_at
         ORDER BY coalesce(settled_until, '-infinity') LIMIT 1
           FOR NO KEY UPDATE SKIP LOCKED;
        EXIT WHEN NOT FOUND;
        PERFORM entitlement_settle(v_entitlement, v_now, v_final_at, v_until);
        COMMIT; -- Of this entitlement: whoever waits for it goes on.
        v_count := v_count + 1;
    END LOOP;
    p_answer := json_build_object('settled_entitlements', v_count);
END;
$$;
