-- How long after its time an event can still come: the 35 days that are taken, and a
-- day for clocks that differ and statements that are under way.
CREATE OR REPLACE FUNCTION entitlement_settling_interval() RETURNS interval
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN interval '36 days';
