-- Makes an alert, and fires what has been reached already in the periods that have not
-- ended. Of the periods before, for which events can still come, it sums up what is
-- there, so that no batch has to. Safe to send twice: the id is the caller's.
CREATE OR REPLACE FUNCTION usage_alert_create(
    p_digest bytea, p_id uuid, p_name text, p_meter text, p_subject text, p_period text, p_thresholds numeric[],
    p_email text, p_max_active integer, p_max_per_email integer
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_organization_id uuid := (authenticate(p_digest)).organization_id;
    v_hold record;
    v_caller principal;
    v_alert usage_alerts;
    v_meter meters;
    v_wait interval;
    v_time_zone text;
    v_reached usage_alert_totals[];
BEGIN
    -- Holds the organization's row, so that requests side by side do not exceed the limit.
    v_hold := organization_hold(p_digest, v_organization_id, 'usage_alerts:manage');
    IF v_hold.refusal IS NOT NULL THEN
        RETURN v_hold.refusal;
    END IF;
    v_caller := v_hold.caller;
    SELECT * INTO v_alert FROM usage_alerts WHERE organization_id = v_organization_id AND id = p_id;
    IF FOUND THEN
        RETURN json_build_object('alert', usage_alert_json(v_alert));
    END IF;
    SELECT * INTO v_meter FROM meters WHERE organization_id = v_organization_id AND slug = p_meter;
    IF NOT FOUND THEN
        RETURN json_build_object('refusal', 'meter_unknown');
    ELSIF v_meter.aggregation NOT IN ('count', 'sum') THEN
        RETURN json_build_object('refusal', 'meter_not_additive');
    ELSIF v_meter.archived_at IS NOT NULL THEN
        RETURN json_build_object('refusal', 'meter_archived');
    END IF;
    IF (SELECT count(*) FROM usage_alerts
         WHERE organization_id = v_organization_id AND archived_at IS NULL) >= p_max_active THEN
        RETURN json_build_object('refusal', 'usage_alert_limit');
    END IF;
    -- A member who proved the address can be told as often as the organization likes;
    -- nobody else is flooded with mail.
    IF p_email IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM users u JOIN memberships m ON m.user_id = u.id
             WHERE u.email = p_email AND u.email_verified_at IS NOT NULL AND m.organization_id = v_organization_id) THEN
        v_wait := mail_quota_take('email:usage_alert:' || p_email, p_max_per_email);
        IF v_wait IS NOT NULL THEN
            RETURN json_build_object('refusal', 'too_many_requests',
                                     'retry_after_secs', greatest(1, ceil(extract(epoch FROM v_wait)))::integer);
        END IF;
    END IF;

    PERFORM usage_alerts_hold_alone(v_organization_id);
    SELECT time_zone INTO v_time_zone FROM organizations WHERE id = v_organization_id;
    INSERT INTO usage_alerts (organization_id, id, name, meter_id, subject, period, thresholds, email)
    VALUES (v_organization_id, p_id, p_name, v_meter.id, coalesce(p_subject, ''), p_period, p_thresholds, p_email)
    RETURNING * INTO v_alert;
    -- Anew, because a total is not kept while no alert waits for more of it.
    PERFORM usage_alert_totals_sum(
        v_organization_id, v_meter.id, v_alert.subject, p_period, v_time_zone, false);
    SELECT array_agg(t ORDER BY t.started_at) INTO v_reached
      FROM usage_alert_totals t
     WHERE t.organization_id = v_organization_id AND t.meter_id = v_meter.id AND t.subject = v_alert.subject
       AND t.period = p_period AND t.ends_at > now() AND t.value >= t.next_threshold;
    IF v_reached IS NOT NULL THEN
        PERFORM usage_alerts_fire(v_reached, v_time_zone);
    END IF;
    PERFORM audit_append(v_organization_id, 'usage_alert.created', v_caller.user_id, prefixed_id('ual_', p_id),
                         jsonb_build_object('name', p_name));
    RETURN json_build_object('alert', usage_alert_json(v_alert));
END;
$$;
