-- Closes an organization's usage until a time, which goes forward only. What is closed
-- already is answered as it was.
CREATE OR REPLACE FUNCTION usage_period_close(p_organization_id uuid, p_until timestamptz, p_actor_id uuid) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_previous timestamptz;
BEGIN
    -- Of those who close at once each waits for the one before it.
    PERFORM 1 FROM organizations WHERE id = p_organization_id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN json_build_object('refusal', 'not_found');
    END IF;
    IF p_until > clock_timestamp() THEN
        RETURN json_build_object('refusal', 'too_far_ahead');
    END IF;
    SELECT until INTO v_previous FROM usage_closed_periods WHERE organization_id = p_organization_id;
    IF v_previous > p_until THEN
        RETURN json_build_object('refusal', 'period_closed', 'until', rfc3339(v_previous));
    END IF;
    IF v_previous IS DISTINCT FROM p_until THEN
        PERFORM audit_append(p_organization_id, 'usage.closed', p_actor_id, prefixed_id('org_', p_organization_id),
                             jsonb_build_object('until', rfc3339(p_until), 'previous_until', rfc3339(v_previous)));
        -- The clock, and last, because the time counts from when the others see it.
        INSERT INTO usage_closed_periods AS c (organization_id, until, settled_at)
        VALUES (p_organization_id, p_until, clock_timestamp() + usage_settling_time())
        ON CONFLICT (organization_id) DO UPDATE SET until = excluded.until, settled_at = excluded.settled_at;
    END IF;
    RETURN usage_closed_period_json(p_organization_id);
END;
$$;
