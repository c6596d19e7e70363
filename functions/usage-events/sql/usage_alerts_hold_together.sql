-- Holds an organization's alerts together with other batches, until the transaction ends.
--
-- A total is right if every batch adds to it that its first sum did not see. A batch that
-- is under way while an alert is made does not know of the alert, and would be in
-- neither. So batches hold their organization together, and whoever makes or archives an
-- alert or changes the zone of its days holds it alone: it waits until the batches have
-- ended that began before, which is 1.5 s at most, and those that come meanwhile wait for
-- it. Two organizations of one hash wait for each other, and nothing worse. A statement that
-- stores several batches one after the other holds it alone too: see usage_ingest_many.
CREATE OR REPLACE FUNCTION usage_alerts_hold_together(p_organization_id uuid) RETURNS void
LANGUAGE sql
RETURN pg_advisory_xact_lock_shared(hashtext('usage_alerts'), hashtext(p_organization_id::text));
