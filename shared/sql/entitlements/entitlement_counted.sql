-- What the meter of an entitlement counted of its subject from p_since until p_until: of a meter
-- with groups by the totals of whole days of UTC, and by quarters of an hour at both ends, so
-- that a year of many groups has no more rows than one of few.
CREATE OR REPLACE FUNCTION entitlement_counted(
    p_entitlement entitlements, p_since timestamptz, p_until timestamptz, OUT counted numeric
)
LANGUAGE plpgsql STABLE
SET jit = off
AS $$
DECLARE
    v_is_count boolean;
    v_has_groups boolean;
    -- Days are read between these, and quarters before and after. Without days, all is before.
    v_days_since timestamptz := p_until;
    v_days_until timestamptz := p_until;
    v_range tstzrange;
    v_part numeric;
BEGIN
    counted := 0;
    SELECT m.aggregation = 'count', m.group_by <> '{}' INTO v_is_count, v_has_groups FROM meters m
     WHERE m.organization_id = p_entitlement.organization_id AND m.id = p_entitlement.meter_id;
    IF v_has_groups AND p_until > p_since + interval '48 hours' THEN
        v_days_since := date_trunc('day', p_since - interval '1 microsecond', 'UTC') + interval '24 hours';
        v_days_until := date_trunc('day', p_until, 'UTC');
        SELECT sum(CASE WHEN v_is_count THEN t.events ELSE t.total END) INTO v_part
          FROM usage_day_totals t
         WHERE t.organization_id = p_entitlement.organization_id AND t.meter_id = p_entitlement.meter_id
           AND t.subject = p_entitlement.subject AND t.day_at >= v_days_since AND t.day_at < v_days_until;
        counted := coalesce(v_part, 0);
    END IF;
    FOREACH v_range IN ARRAY ARRAY[tstzrange(p_since, v_days_since), tstzrange(v_days_until, p_until)] LOOP
        CONTINUE WHEN isempty(v_range);
        IF p_entitlement.subject = '' THEN
            SELECT sum(CASE WHEN v_is_count THEN r.events ELSE r.total END) INTO v_part
              FROM usage_rollups r
             WHERE r.organization_id = p_entitlement.organization_id AND r.meter_id = p_entitlement.meter_id
               AND r.slot_at >= lower(v_range) AND r.slot_at < upper(v_range);
        ELSE
            SELECT sum(CASE WHEN v_is_count THEN r.events ELSE r.total END) INTO v_part
              FROM usage_subject_rollups r
             WHERE r.organization_id = p_entitlement.organization_id AND r.meter_id = p_entitlement.meter_id
               AND r.subject = p_entitlement.subject AND r.slot_at >= lower(v_range) AND r.slot_at < upper(v_range);
        END IF;
        counted := counted + coalesce(v_part, 0);
    END LOOP;
END;
$$;
