-- Settles the entitlements of long periods that have waited longest, so that no check sums up
-- years, and says of how many. Each is a transaction of its own. An entitlement that somebody
-- else holds is left to the next call. One that cannot be settled is counted, named in the server's
-- log, and passed over. One that takes the whole statement's time ends the call, and is the last that
-- the next one tries. So neither stops the others.
CREATE OR REPLACE PROCEDURE entitlements_settle(p_digest bytea, INOUT p_answer text)
LANGUAGE plpgsql AS $$
DECLARE
    v_waiting record;
    v_entitlement entitlements;
    v_settled integer := 0;
    v_failed integer := 0;
    v_now timestamptz := clock_timestamp();
    v_until timestamptz := v_now + max_settling_time();
    v_final_at timestamptz := entitlement_final_at(v_now);
BEGIN
    p_answer := refusal(authenticate(p_digest), 'usage:upkeep');
    IF p_answer IS NOT NULL THEN
        RETURN;
    END IF;
    -- The list is that of before the first COMMIT. It has more than a call can settle.
    FOR v_waiting IN
        SELECT organization_id, id FROM entitlements
         WHERE is_current AND period IN ('year', 'never') AND coalesce(settled_until, '-infinity') < v_final_at
         ORDER BY settling_began_at LIMIT 10000
    LOOP
        EXIT WHEN clock_timestamp() >= v_until;
        UPDATE entitlements SET settling_began_at = v_now
         WHERE organization_id = v_waiting.organization_id AND id IN (
            SELECT id FROM entitlements
             WHERE organization_id = v_waiting.organization_id AND id = v_waiting.id
               FOR NO KEY UPDATE SKIP LOCKED);
        COMMIT; -- Whatever becomes of it, it was tried.
        BEGIN
            SELECT * INTO v_entitlement FROM entitlements
             WHERE organization_id = v_waiting.organization_id AND id = v_waiting.id AND is_current
               AND coalesce(settled_until, '-infinity') < v_final_at
               FOR NO KEY UPDATE SKIP LOCKED;
            IF FOUND THEN
                PERFORM entitlement_settle(v_entitlement, v_now, v_final_at, v_until);
                v_settled := v_settled + 1;
            END IF;
        EXCEPTION WHEN OTHERS THEN
            v_failed := v_failed + 1;
            RAISE WARNING 'the entitlement % cannot be settled: % (%)', v_waiting.id, SQLERRM, SQLSTATE;
        END;
        COMMIT; -- Of this entitlement: whoever waits for it goes on.
    END LOOP;
    p_answer := json_build_object('settled_entitlements', v_settled, 'failed_entitlements', v_failed);
END;
$$;
