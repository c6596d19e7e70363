-- For how long credits_settle begins another account, and entitlements_settle another entitlement:
-- two thirds of the 1.5 seconds that a statement has. What was begun last takes the rest at most:
-- max_due_grants says how long the largest account takes on a busy machine.
CREATE OR REPLACE FUNCTION max_settling_time() RETURNS interval LANGUAGE sql IMMUTABLE RETURN interval '1 second';
