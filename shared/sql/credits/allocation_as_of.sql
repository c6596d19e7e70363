-- An allocation as it is at a moment: with nothing used if its period is over.
CREATE OR REPLACE FUNCTION allocation_as_of(p_allocation credit_pool_allocations, p_now timestamptz)
RETURNS credit_pool_allocations
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    IF p_now >= p_allocation.period_ends_at THEN
        p_allocation.used := 0;
        p_allocation.period_started_at := greatest(
            p_allocation.period_ends_at, allocation_period_start(p_allocation.reset, p_now));
        p_allocation.period_ends_at := allocation_period_end(p_allocation.reset, p_now);
    END IF;
    RETURN p_allocation;
END;
$$;
