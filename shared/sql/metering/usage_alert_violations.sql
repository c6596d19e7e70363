-- Totals that are not the sums of their rollups, thresholds that were reached and did
-- not fire, and firings of what is no threshold of the alert. A period that was over
-- before the newest alert on it was made is left out, and one that began with another
-- time zone: it fires when an event comes.
CREATE OR REPLACE FUNCTION usage_alert_violations() RETURNS TABLE (organization_id uuid, violation text)
LANGUAGE sql STABLE AS $$
    WITH kept AS (
        SELECT t.*, (SELECT coalesce(sum(s.value), 0)
                       FROM usage_alert_slots(t.organization_id, t.meter_id, t.subject, t.started_at, t.ends_at) s) AS counted,
               (SELECT max(a.created_at) FROM usage_alerts a
                 WHERE a.organization_id = t.organization_id AND a.meter_id = t.meter_id AND a.subject = t.subject
                   AND a.period = t.period AND a.archived_at IS NULL) AS watched_since
          FROM usage_alert_totals t
    )
    SELECT k.organization_id, format('the total from %s is %s, and %s was counted', k.started_at, k.value, k.counted)
      FROM kept k
     WHERE k.watched_since IS NOT NULL AND k.next_threshold IS NOT NULL AND k.value <> k.counted
    UNION ALL
    SELECT k.organization_id, format('%s of alert %s from %s was reached and did not fire', h.threshold, a.id, k.started_at)
      FROM kept k
      JOIN usage_alerts a ON a.organization_id = k.organization_id AND a.meter_id = k.meter_id
           AND a.subject = k.subject AND a.period = k.period AND a.archived_at IS NULL
     CROSS JOIN LATERAL unnest(a.thresholds) h (threshold)
     WHERE k.ends_at > k.watched_since AND NOT k.is_unfired AND (k.next_threshold IS NULL OR h.threshold <= k.counted)
       AND NOT EXISTS (SELECT 1 FROM usage_alert_firings f
                        WHERE f.organization_id = a.organization_id AND f.alert_id = a.id
                          AND f.period_started_at = k.started_at AND f.threshold = h.threshold)
    UNION ALL
    SELECT f.organization_id, format('%s fired and is no threshold of alert %s', f.threshold, f.alert_id)
      FROM usage_alert_firings f
      JOIN usage_alerts a ON a.organization_id = f.organization_id AND a.id = f.alert_id
     WHERE f.threshold <> ALL (a.thresholds)
$$;
