-- Fires what totals of an organization have reached and did not fire before, with a message to
-- whoever is to be told. The message is written once; the sender of the outbox hands it over at
-- least once. One statement is for all of them, because a batch may reach all thresholds of 36
-- days.
CREATE OR REPLACE FUNCTION usage_alerts_fire(p_totals usage_alert_totals[], p_time_zone text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_organization_id uuid := (p_totals[1]).organization_id;
    v_firings usage_alert_firings[];
    v_sequence bigint;
    v_message record;
BEGIN
    SELECT array_agg(ROW(a.organization_id, a.id, t.started_at, t.ends_at, h.threshold, NULL, t.value,
                         now())::usage_alert_firings
                     ORDER BY t.n, a.id, h.threshold)
      INTO v_firings
      FROM unnest(p_totals) WITH ORDINALITY
           AS t (organization_id, meter_id, subject, period, started_at, ends_at, value, next_threshold, is_unfired, n)
      JOIN usage_alerts a ON a.organization_id = v_organization_id AND a.meter_id = t.meter_id
           AND a.subject = t.subject AND a.period = t.period AND a.archived_at IS NULL
     CROSS JOIN LATERAL unnest(a.thresholds) h (threshold)
     WHERE h.threshold <= t.value;
    IF v_firings IS NULL THEN
        RETURN;
    END IF;
    v_sequence := organization_sequences_take(v_organization_id, 'usage_alert_firings', cardinality(v_firings));
    FOR v_message IN
        WITH fired AS (
            INSERT INTO usage_alert_firings AS f
                (organization_id, alert_id, period_started_at, period_ends_at, threshold, value, sequence)
            SELECT v_organization_id, f.alert_id, f.period_started_at, f.period_ends_at, f.threshold, f.value,
                   v_sequence + f.n - 1
              FROM unnest(v_firings) WITH ORDINALITY
                   AS f (organization_id, alert_id, period_started_at, period_ends_at, threshold, sequence, value, fired_at, n)
             ORDER BY f.n
            ON CONFLICT DO NOTHING
            RETURNING f.alert_id, f.period_started_at, f.threshold, f.value, f.sequence
        ), told AS MATERIALIZED (
            -- Before anything fired here.
            SELECT a.id, a.name, a.email, a.subject, a.period, m.slug, o.name AS organization_name,
                   usage_alert_messages_left(v_organization_id, a.id, a.email) AS messages_left
              FROM usage_alerts a
              JOIN meters m ON m.organization_id = a.organization_id AND m.id = a.meter_id
              JOIN organizations o ON o.id = a.organization_id
             WHERE a.organization_id = v_organization_id AND a.email IS NOT NULL
               AND a.id IN (SELECT f.alert_id FROM fired f)
        )
        SELECT t.email, jsonb_build_object(
                   'organization_name', t.organization_name, 'alert_name', t.name, 'meter', t.slug,
                   'subject', nullif(t.subject, ''), 'threshold', trim_scale(f.threshold)::text,
                   'value', trim_scale(f.value)::text, 'time_zone', p_time_zone,
                   'period', to_char(f.period_started_at AT TIME ZONE p_time_zone,
                                     CASE t.period WHEN 'month' THEN 'YYYY-MM' ELSE 'YYYY-MM-DD' END)) AS detail
          FROM (SELECT f.*, row_number() OVER (PARTITION BY f.alert_id
                                               ORDER BY f.period_started_at DESC, f.threshold DESC) AS n FROM fired f) f
          JOIN told t ON t.id = f.alert_id
         WHERE f.n <= coalesce(t.messages_left, f.n)
         ORDER BY f.sequence
    LOOP
        PERFORM outbox_add(v_organization_id, owned_id(v_organization_id, time_ordered_id()), 'usage_alert',
                           v_message.email, NULL, v_message.detail);
    END LOOP;
    UPDATE usage_alert_totals t
       SET next_threshold = usage_alert_next_threshold(t.organization_id, t.meter_id, t.subject, t.period, p.value)
      FROM unnest(p_totals) p
     WHERE t.organization_id = v_organization_id AND t.meter_id = p.meter_id AND t.subject = p.subject
       AND t.period = p.period AND t.started_at = p.started_at;
END;
$$;
