-- When a day begins in a zone: the first moment that has its date there. p_day is the day's
-- midnight on the clocks of the zone.
--
-- Where clocks are put back over midnight it comes twice, and the day begins at the first:
-- a moment has the date that the clocks show at it. Postgres alone takes the second. Where
-- clocks skip midnight the day begins where they go on.
CREATE OR REPLACE FUNCTION local_midnight(p_day timestamp, p_time_zone text) RETURNS timestamptz
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    v_midnight timestamptz := p_day AT TIME ZONE p_time_zone;
    -- In hours: a day would be one of the session's zone.
    v_day_before timestamptz := v_midnight - interval '24 hours';
    -- With the offset of the day before.
    v_first timestamptz := v_day_before + (p_day - v_day_before AT TIME ZONE p_time_zone);
BEGIN
    IF v_first < v_midnight AND v_first AT TIME ZONE p_time_zone = p_day THEN
        RETURN v_first;
    END IF;
    RETURN v_midnight;
END;
$$;
