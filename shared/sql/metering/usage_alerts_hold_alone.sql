-- Holds an organization's alerts alone, until the transaction ends: see
-- usage_alerts_hold_together.
CREATE OR REPLACE FUNCTION usage_alerts_hold_alone(p_organization_id uuid) RETURNS void
LANGUAGE sql
RETURN pg_advisory_xact_lock(hashtext('usage_alerts'), hashtext(p_organization_id::text));
