-- Until when no event changes at p_now what was used. Events are taken for 35 days, and a day
-- is for clocks that differ and statements that are under way. By whole weeks, so that upkeep
-- settles an entitlement once a week. In hours: a day would be one of the session's zone.
CREATE OR REPLACE FUNCTION entitlement_final_at(p_now timestamptz) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN date_bin('7 days', p_now - interval '864 hours', 'epoch');
