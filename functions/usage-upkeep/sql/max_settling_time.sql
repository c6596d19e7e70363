-- For how long credits_settle begins another account, and entitlements_settle another week of an
-- entitlement: two thirds of the 1.5 seconds that a statement has. An account takes a tenth of
-- them at most, and a week a third, if a check of its month can be answered at all.
CREATE OR REPLACE FUNCTION max_settling_time() RETURNS interval LANGUAGE sql IMMUTABLE RETURN interval '1 second';
