-- The moment at which the clocks of a zone first show a time, or a later one: of a time that comes
-- twice the first, and for one that is skipped the end of the gap. Postgres alone takes the second,
-- and for a skipped time one that lies behind the gap. Times are of whole seconds.
CREATE OR REPLACE FUNCTION local_moment(p_time timestamp, p_time_zone text) RETURNS timestamptz
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    v_moment timestamptz := p_time AT TIME ZONE p_time_zone;
    -- In hours: a day would be one of the session's zone. A gap is a day at most.
    v_before timestamptz := v_moment - interval '48 hours';
    v_after timestamptz := v_moment + interval '48 hours';
    v_day_before timestamptz := v_moment - interval '24 hours';
    v_first timestamptz;
    v_middle timestamptz;
BEGIN
    IF v_moment AT TIME ZONE p_time_zone = p_time THEN
        -- With the offset of the day before.
        v_first := v_day_before + (p_time - v_day_before AT TIME ZONE p_time_zone);
        IF v_first < v_moment AND v_first AT TIME ZONE p_time_zone = p_time THEN
            RETURN v_first;
        END IF;
        RETURN v_moment;
    END IF;
    -- It is skipped. Around the gap clocks only go forward, so the end can be halved for.
    WHILE v_after - v_before > interval '1 second' LOOP
        v_middle := date_bin('1 second', v_before + (v_after - v_before) / 2, 'epoch');
        IF v_middle AT TIME ZONE p_time_zone >= p_time THEN
            v_after := v_middle;
        ELSE
            v_before := v_middle;
        END IF;
    END LOOP;
    RETURN v_after;
END;
$$;
