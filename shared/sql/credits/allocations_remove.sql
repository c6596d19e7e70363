-- Takes a member's allocations away, in one currency or in all, and says how
-- many there were. The caller holds the organization's row.
CREATE OR REPLACE FUNCTION allocations_remove(
    p_organization_id uuid, p_user_id uuid, p_currency text, p_actor_id uuid
) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    v_removed credit_pool_allocations;
    v_count integer := 0;
BEGIN
    FOR v_removed IN
        DELETE FROM credit_pool_allocations
         WHERE organization_id = p_organization_id AND user_id = p_user_id
           AND (p_currency IS NULL OR currency = p_currency)
        RETURNING *
    LOOP
        v_count := v_count + 1;
        PERFORM audit_append(p_organization_id, 'allocation.removed', p_actor_id, prefixed_id('usr_', p_user_id),
                             jsonb_build_object('currency', v_removed.currency,
                                                'previous_limit', v_removed.spending_limit::text,
                                                'previous_reset', v_removed.reset));
    END LOOP;
    RETURN v_count;
END;
$$;
