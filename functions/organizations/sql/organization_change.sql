-- Gives the organization another name or time zone; null leaves each as it is. With a
-- name it answers with the members too, because each of them may have the old one
-- cached; who joins later waits for the row, and sees the new one. So it does when the
-- name is the one that it had: whoever sends the same again may not know of the first.
CREATE OR REPLACE FUNCTION organization_change(p_digest bytea, p_id uuid, p_name text, p_time_zone text) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_hold record;
    v_caller principal;
    v_old organizations;
    v_time_zone text := time_zone_read(p_time_zone);
BEGIN
    v_hold := organization_hold(p_digest, p_id, 'organization:manage');
    IF v_hold.refusal IS NOT NULL THEN
        RETURN v_hold.refusal;
    END IF;
    v_caller := v_hold.caller;
    IF p_time_zone IS NOT NULL AND v_time_zone IS NULL THEN
        RETURN json_build_object('refusal', 'time_zone_unknown');
    END IF;
    SELECT * INTO v_old FROM organizations WHERE id = p_id;
    -- Both, before the audit log is held: a change of the zone waits for batches of usage
    -- (usage_alerts_hold_alone), and whoever archives an alert holds those and then the log.
    UPDATE organizations SET name = coalesce(p_name, name), time_zone = coalesce(v_time_zone, time_zone)
     WHERE id = p_id AND (name <> p_name OR time_zone <> v_time_zone);
    IF v_old.name <> p_name THEN
        PERFORM audit_append(p_id, 'organization.renamed', v_caller.user_id, prefixed_id('org_', p_id),
                             jsonb_build_object('name', p_name, 'previous_name', v_old.name));
    END IF;
    IF v_old.time_zone <> v_time_zone THEN
        PERFORM audit_append(p_id, 'organization.time_zone_changed', v_caller.user_id, prefixed_id('org_', p_id),
                             jsonb_build_object('time_zone', v_time_zone, 'previous_time_zone', v_old.time_zone));
    END IF;
    RETURN json_build_object(
        'organization', organization_json(p_id, v_caller.user_id),
        'member_ids', CASE WHEN p_name IS NULL THEN '[]'::json ELSE (
            SELECT json_agg(prefixed_id('usr_', user_id)) FROM memberships WHERE organization_id = p_id) END);
END;
$$;
