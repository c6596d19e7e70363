-- The period of a subscription that a moment lies in, and its number, which is 0 for the first.
--
-- Periods are half-open, and their boundaries are billing_boundary(): p_count units apart, on the
-- clocks of the account's zone. p_anchor is a boundary by its month and time; in units of months its
-- day is p_anchor_day. The first period begins at p_first_start and ends at the first boundary after
-- it, so that one which begins on a boundary is whole. A moment before p_first_start is in it too.
--
-- whole_from and whole_to are the dates of the two boundaries, however late the first period began:
-- a price is for all of these days.
CREATE OR REPLACE FUNCTION billing_period_at(
    p_unit text, p_count integer, p_anchor timestamp, p_anchor_day integer, p_time_zone text,
    p_first_start timestamptz, p_at timestamptz,
    OUT period_index integer, OUT started_at timestamptz, OUT ends_at timestamptz,
    OUT whole_from date, OUT whole_to date, OUT whole_started_at timestamptz
)
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    v_at timestamptz := greatest(p_at, p_first_start);
    v_step integer := billing_step_at(p_unit, p_count, p_anchor, p_anchor_day, p_time_zone, v_at);
    v_from timestamp := billing_boundary(p_unit, p_count, p_anchor, p_anchor_day, v_step);
    v_to timestamp := billing_boundary(p_unit, p_count, p_anchor, p_anchor_day, v_step + 1);
BEGIN
    period_index := v_step - billing_step_at(p_unit, p_count, p_anchor, p_anchor_day, p_time_zone, p_first_start);
    whole_started_at := local_moment(v_from, p_time_zone);
    started_at := greatest(whole_started_at, p_first_start);
    ends_at := local_moment(v_to, p_time_zone);
    whole_from := v_from::date;
    whole_to := v_to::date;
END;
$$;
