-- The organization's time zone, periods of usage that are closed, and what the cache of
-- summaries has to be told.

INSERT INTO permissions (name, description, is_platform) VALUES
    ('usage:close', 'Close the usage of any organization until a time', true);
UPDATE roles SET permissions = permissions || ARRAY['usage:close']
 WHERE organization_id IS NULL AND name = 'platform_admin';

-- ---------------------------------------------------------------------------
-- The time zone.
-- ---------------------------------------------------------------------------

-- An organization as a member with that role sees it.
CREATE FUNCTION organization_as_seen(p_organization organizations, p_role text) RETURNS json
LANGUAGE sql STABLE PARALLEL SAFE
RETURN json_build_object('id', prefixed_id('org_', (p_organization).id), 'name', (p_organization).name,
                         'role', p_role, 'time_zone', (p_organization).time_zone,
                         'created_at', rfc3339((p_organization).created_at));

-- An organization as one of its members sees it.
CREATE OR REPLACE FUNCTION organization_json(p_organization_id uuid, p_user_id uuid) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT organization_as_seen(o, m.role)
      FROM organizations o JOIN memberships m ON m.organization_id = o.id
     WHERE o.id = p_organization_id AND m.user_id = p_user_id
$$;

-- The organizations that the token's user belongs to, newest membership first. The
-- memberships are read once: to look each up again may read all of the user's each time.
CREATE OR REPLACE FUNCTION organizations_list(p_digest bytea, p_limit integer) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := session_refusal(v_principal);
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    RETURN json_build_object('outcome', 'listed', 'organizations', (
        SELECT coalesce(json_agg(organization_as_seen(o, m.role) ORDER BY m.created_at DESC), '[]'::json)
          FROM (SELECT * FROM memberships WHERE user_id = v_principal.user_id
                 ORDER BY created_at DESC LIMIT p_limit) m
          JOIN organizations o ON o.id = m.organization_id));
END;
$$;

-- Gives the organization another name or time zone; null leaves each as it is. With a
-- name it answers with the members too, because each of them may have the old one
-- cached; who joins later waits for the row, and sees the new one. So it does when the
-- name is the one that it had: whoever sends the same again may not know of the first.
DROP FUNCTION organization_rename(bytea, uuid, text);
CREATE FUNCTION organization_change(p_digest bytea, p_id uuid, p_name text, p_time_zone text) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_hold record;
    v_caller principal;
    v_old organizations;
BEGIN
    v_hold := organization_hold(p_digest, p_id, 'organization:manage');
    IF v_hold.refusal IS NOT NULL THEN
        RETURN v_hold.refusal;
    END IF;
    v_caller := v_hold.caller;
    IF p_time_zone IS NOT NULL AND NOT EXISTS (SELECT 1 FROM time_zones WHERE name = p_time_zone) THEN
        RETURN json_build_object('outcome', 'time_zone_unknown');
    END IF;
    SELECT * INTO v_old FROM organizations WHERE id = p_id;
    -- Both, before the audit log is held: a change of the zone waits for batches of usage
    -- (usage_alerts_hold_alone), and whoever archives an alert holds those and then the log.
    UPDATE organizations SET name = coalesce(p_name, name), time_zone = coalesce(p_time_zone, time_zone)
     WHERE id = p_id AND (name <> p_name OR time_zone <> p_time_zone);
    IF v_old.name <> p_name THEN
        PERFORM audit_append(p_id, 'organization.renamed', v_caller.user_id, prefixed_id('org_', p_id),
                             jsonb_build_object('name', p_name, 'previous_name', v_old.name));
    END IF;
    IF v_old.time_zone <> p_time_zone THEN
        PERFORM audit_append(p_id, 'organization.time_zone_changed', v_caller.user_id, prefixed_id('org_', p_id),
                             jsonb_build_object('time_zone', p_time_zone, 'previous_time_zone', v_old.time_zone));
    END IF;
    RETURN json_build_object(
        'outcome', 'changed',
        'organization', organization_json(p_id, v_caller.user_id),
        'member_ids', CASE WHEN p_name IS NULL THEN '[]'::json ELSE (
            SELECT json_agg(prefixed_id('usr_', user_id)) FROM memberships WHERE organization_id = p_id) END);
END;
$$;

-- ---------------------------------------------------------------------------
-- Closed periods.
-- ---------------------------------------------------------------------------

-- How long after a period was closed an event may still come in without the mark of an
-- adjustment: its statement began before, and is given up after 1.5 s. Half a second
-- more is for the commits, its own and that of the closing.
CREATE FUNCTION usage_settling_time() RETURNS interval
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN interval '2 seconds';

-- When every event before `until` is there or will be marked.
ALTER TABLE usage_closed_periods
    ADD COLUMN settled_at timestamptz NOT NULL DEFAULT clock_timestamp() + usage_settling_time();

CREATE FUNCTION usage_closed_period_json(p_organization_id uuid) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT json_build_object('organization_id', prefixed_id('org_', o.id), 'until', rfc3339(c.until),
                             'settled_at', rfc3339(c.settled_at))
      FROM organizations o LEFT JOIN usage_closed_periods c ON c.organization_id = o.id
     WHERE o.id = p_organization_id
$$;

-- Closes an organization's usage until a time, which goes forward only. What is closed
-- already is answered as it was.
CREATE FUNCTION usage_period_close(p_organization_id uuid, p_until timestamptz, p_actor_id uuid) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_previous timestamptz;
BEGIN
    -- Of those who close at once each waits for the one before it.
    PERFORM 1 FROM organizations WHERE id = p_organization_id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN json_build_object('outcome', 'not_found');
    END IF;
    IF p_until > clock_timestamp() THEN
        RETURN json_build_object('outcome', 'too_far_ahead');
    END IF;
    SELECT until INTO v_previous FROM usage_closed_periods WHERE organization_id = p_organization_id;
    IF v_previous > p_until THEN
        RETURN json_build_object('outcome', 'period_closed', 'until', rfc3339(v_previous));
    END IF;
    IF v_previous IS DISTINCT FROM p_until THEN
        PERFORM audit_append(p_organization_id, 'usage.closed', p_actor_id, prefixed_id('org_', p_organization_id),
                             jsonb_build_object('until', rfc3339(p_until), 'previous_until', rfc3339(v_previous)));
        -- The clock, and last, because the time counts from when the others see it.
        INSERT INTO usage_closed_periods AS c (organization_id, until, settled_at)
        VALUES (p_organization_id, p_until, clock_timestamp() + usage_settling_time())
        ON CONFLICT (organization_id) DO UPDATE SET until = excluded.until, settled_at = excluded.settled_at;
    END IF;
    RETURN json_build_object('outcome', 'closed', 'period', usage_closed_period_json(p_organization_id));
END;
$$;

-- The same for whoever the token belongs to.
CREATE FUNCTION usage_closed_period_put(p_digest bytea, p_organization_id uuid, p_until timestamptz) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'usage:close');
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    RETURN usage_period_close(p_organization_id, p_until, v_principal.user_id);
END;
$$;

-- Until when an organization's usage is closed, which is null before the first time.
CREATE FUNCTION usage_closed_period_read(p_digest bytea, p_organization_id uuid) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'usage:close');
    v_period json;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    v_period := usage_closed_period_json(p_organization_id);
    IF v_period IS NULL THEN
        RETURN json_build_object('outcome', 'not_found');
    END IF;
    RETURN json_build_object('outcome', 'found', 'period', v_period);
END;
$$;

-- ---------------------------------------------------------------------------
-- Summaries.
-- ---------------------------------------------------------------------------

-- As before, and says whose it is and until when it may be cached: at the next quarter
-- of an hour a range without an end, or without a beginning, may be another.
CREATE OR REPLACE FUNCTION usage_summary(
    p_digest bytea, p_slug text, p_since timestamp, p_until timestamp, p_since_is_local boolean,
    p_until_is_local boolean, p_interval text, p_time_zone text, p_subject text, p_group_by text[],
    p_max_buckets integer, p_max_cells integer, p_max_events integer
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_organization_id uuid := v_principal.organization_id;
    v_refusal json := refusal(v_principal, 'usage:read');
    v_meter meters;
    v_time_zone text := p_time_zone;
    v_since timestamptz;
    v_until timestamptz;
    v_starts timestamptz[];
    v_positions integer[];
    v_found record;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    SELECT * INTO v_meter FROM meters WHERE organization_id = v_organization_id AND slug = p_slug;
    IF NOT FOUND THEN
        RETURN json_build_object('outcome', 'meter_not_found');
    END IF;
    IF v_time_zone IS NULL THEN
        SELECT time_zone INTO v_time_zone FROM organizations WHERE id = v_organization_id;
    ELSIF NOT EXISTS (SELECT 1 FROM time_zones WHERE name = v_time_zone) THEN
        RETURN json_build_object('outcome', 'time_zone_unknown');
    END IF;
    -- Without a range, the month to the end of its day.
    v_since := CASE WHEN p_since IS NULL THEN date_trunc('month', now(), v_time_zone)
                    WHEN p_since_is_local THEN p_since AT TIME ZONE v_time_zone
                    ELSE p_since AT TIME ZONE 'UTC' END;
    v_until := CASE WHEN p_until IS NULL THEN
                         (date_trunc('day', now() AT TIME ZONE v_time_zone) + interval '1 day') AT TIME ZONE v_time_zone
                    WHEN p_until_is_local THEN p_until AT TIME ZONE v_time_zone
                    ELSE p_until AT TIME ZONE 'UTC' END;
    IF v_until <= v_since THEN
        RETURN json_build_object('outcome', 'range_empty');
    END IF;
    -- One less, because a range that begins within a bucket has one more.
    IF v_until > v_since + (p_max_buckets - 1) * (CASE p_interval WHEN 'month' THEN interval '1 month'
                                                  WHEN 'day' THEN interval '1 day' ELSE interval '1 hour' END) THEN
        RETURN json_build_object('outcome', 'range_too_long');
    END IF;
    SELECT array_agg(array_position(v_meter.group_by, g) ORDER BY n) INTO v_positions
      FROM unnest(p_group_by) WITH ORDINALITY u (g, n);
    IF array_position(v_positions, NULL) IS NOT NULL THEN
        RETURN json_build_object('outcome', 'group_unknown', 'group_by', v_meter.group_by);
    END IF;
    v_positions := coalesce(v_positions, '{}');
    v_starts := usage_bucket_starts(v_since, v_until, p_interval, v_time_zone);

    v_found := usage_cells(v_meter, v_starts, v_until, p_subject, v_positions, p_max_events);
    IF NOT coalesce(v_found.o_is_complete, true) THEN
        RETURN json_build_object('outcome', 'too_many_events');
    END IF;
    IF coalesce(v_found.o_groups, 0) * cardinality(v_starts) > p_max_cells THEN
        RETURN json_build_object('outcome', 'too_many_cells');
    END IF;
    RETURN json_build_object(
        'outcome', 'found', 'organization_id', prefixed_id('org_', v_organization_id),
        'token_expires_millis', unix_millis(v_principal.expires_at),
        'valid_until_millis', unix_millis(date_bin('15 minutes', now(), 'epoch') + interval '15 minutes'),
        'aggregation', v_meter.aggregation, 'time_zone', v_time_zone,
        'since', rfc3339(v_since), 'until', rfc3339(v_until),
        'starts', (SELECT json_agg(rfc3339(s) ORDER BY n) FROM unnest(v_starts) WITH ORDINALITY u (s, n)),
        'cells', coalesce(v_found.o_cells, '[]'));
END;
$$;
