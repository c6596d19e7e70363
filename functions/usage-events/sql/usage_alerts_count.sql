-- Adds what a batch counted to the totals that alerts look at, and fires what they
-- reach. Called after everything else that a batch does, and by batches in one order,
-- so that they cannot wait for each other in a circle. It fires when it holds all of
-- its totals: whoever fires holds the number of the organization's firings until it
-- commits, and waits for nobody then. Whoever calls holds the organization.
--
-- A total that is not there yet begins as the sum of what is committed and of this
-- batch. A batch that the sum did not see has not added to a total either, because
-- there was none; so it meets this one, waits for its row, and adds to it.
CREATE OR REPLACE FUNCTION usage_alerts_count(p_organization_id uuid, p_deltas usage_delta[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_time_zone text;
    v_added record;
    v_total usage_alert_totals;
    v_reached usage_alert_totals[] := '{}'::usage_alert_totals[];
BEGIN
    IF p_deltas IS NULL OR NOT EXISTS (
            SELECT 1 FROM usage_alerts WHERE organization_id = p_organization_id AND archived_at IS NULL) THEN
        RETURN;
    END IF;
    SELECT time_zone INTO v_time_zone FROM organizations WHERE id = p_organization_id;
    FOR v_added IN
        WITH watched AS MATERIALIZED (
            SELECT DISTINCT a.meter_id, a.subject, a.period
              FROM usage_alerts a
             WHERE a.organization_id = p_organization_id AND a.archived_at IS NULL
        ), by_slot AS MATERIALIZED (
            SELECT w.meter_id, w.subject, w.period, d.slot_at,
                   usage_value(m.aggregation, sum(d.events)::bigint, sum(d.total), NULL, NULL, NULL) AS value
              FROM watched w
              JOIN meters m ON m.organization_id = p_organization_id AND m.id = w.meter_id
              JOIN unnest(p_deltas) d ON d.meter_id = w.meter_id
             WHERE w.subject = '' OR w.subject = d.subject
             GROUP BY w.meter_id, w.subject, w.period, m.aggregation, d.slot_at
        )
        SELECT s.meter_id, s.subject, s.period, sum(s.value) AS value,
               usage_alert_period_start(s.period, s.slot_at, v_time_zone) AS started_at
          FROM by_slot s
         GROUP BY 1, 2, 3, 5
         -- The newest period first: it is the one to be told of if not all can be.
         ORDER BY 1, 2, 3, 5 DESC
    LOOP
        -- Where everything has fired there is nothing to add to, and nobody to wait for.
        CONTINUE WHEN EXISTS (
            SELECT 1 FROM usage_alert_totals t
             WHERE t.organization_id = p_organization_id AND t.meter_id = v_added.meter_id
               AND t.subject = v_added.subject AND t.period = v_added.period AND t.started_at = v_added.started_at
               AND t.next_threshold IS NULL);
        UPDATE usage_alert_totals t
           SET value = t.value + v_added.value, is_unfired = false
         WHERE t.organization_id = p_organization_id AND t.meter_id = v_added.meter_id
           AND t.subject = v_added.subject AND t.period = v_added.period AND t.started_at = v_added.started_at
           AND t.next_threshold IS NOT NULL
        RETURNING * INTO v_total;
        IF NOT FOUND THEN
            v_total.ends_at := usage_alert_period_end(v_added.period, v_added.started_at, v_time_zone);
            INSERT INTO usage_alert_totals AS t
                (organization_id, meter_id, subject, period, started_at, ends_at, value, next_threshold)
            VALUES (p_organization_id, v_added.meter_id, v_added.subject, v_added.period, v_added.started_at,
                    v_total.ends_at,
                    (SELECT coalesce(sum(s.value), 0)
                       FROM usage_alert_slots(p_organization_id, v_added.meter_id, v_added.subject,
                                              v_added.started_at, v_total.ends_at) s),
                    usage_alert_next_threshold(p_organization_id, v_added.meter_id, v_added.subject, v_added.period, NULL))
            ON CONFLICT (organization_id, meter_id, subject, period, started_at)
            DO UPDATE SET value = t.value + v_added.value, is_unfired = false WHERE t.next_threshold IS NOT NULL
            RETURNING * INTO v_total;
            -- It fired its last threshold while this batch waited for it.
            CONTINUE WHEN NOT FOUND;
            -- No event comes for what ended more than 35 days ago.
            DELETE FROM usage_alert_totals t
             WHERE t.organization_id = p_organization_id AND t.meter_id = v_added.meter_id
               AND t.subject = v_added.subject AND t.period = v_added.period
               AND t.ends_at < now() - interval '36 days';
        END IF;
        IF v_total.value >= v_total.next_threshold THEN
            v_reached := v_reached || v_total;
        END IF;
    END LOOP;
    IF v_reached <> '{}' THEN
        PERFORM usage_alerts_fire(v_reached, v_time_zone);
    END IF;
END;
$$;
