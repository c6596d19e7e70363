-- What a meter counted from p_since until p_until, both whole quarters of an hour, or
-- both local when p_is_local says so. A bucket without events is there too, for each
-- group that has any, and for all usage when no group is asked for.
--
-- The answer says whose it is and until when it may be cached: at the next quarter of an
-- hour a range without an end, or without a beginning, may be another.
CREATE OR REPLACE FUNCTION usage_summary(
    p_digest bytea, p_slug text, p_since timestamp, p_until timestamp, p_since_is_local boolean,
    p_until_is_local boolean, p_interval text, p_time_zone text, p_subject text, p_group_by text[],
    p_max_buckets integer, p_max_cells integer, p_max_events integer, p_max_series integer
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_organization_id uuid := v_principal.organization_id;
    v_refusal json := refusal(v_principal, 'usage:read');
    v_meter meters;
    v_time_zone text := time_zone_read(p_time_zone);
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
        RETURN json_build_object('refusal', 'not_found');
    END IF;
    IF p_time_zone IS NULL THEN
        SELECT time_zone INTO v_time_zone FROM organizations WHERE id = v_organization_id;
    ELSIF v_time_zone IS NULL THEN
        RETURN json_build_object('refusal', 'time_zone_unknown');
    END IF;
    -- Without a range, the month to the end of its day.
    v_since := CASE WHEN p_since IS NULL THEN
                         local_midnight(date_trunc('month', now() AT TIME ZONE v_time_zone), v_time_zone)
                    WHEN p_since_is_local THEN local_midnight(p_since, v_time_zone)
                    ELSE p_since AT TIME ZONE 'UTC' END;
    v_until := CASE WHEN p_until IS NULL THEN
                         local_midnight(date_trunc('day', now() AT TIME ZONE v_time_zone) + interval '1 day', v_time_zone)
                    WHEN p_until_is_local THEN local_midnight(p_until, v_time_zone)
                    ELSE p_until AT TIME ZONE 'UTC' END;
    IF v_until <= v_since THEN
        RETURN json_build_object('refusal', 'range_empty');
    END IF;
    -- One less, because a range that begins within a bucket has one more.
    IF v_until > v_since + (p_max_buckets - 1) * (CASE p_interval WHEN 'month' THEN interval '1 month'
                                                  WHEN 'day' THEN interval '1 day' ELSE interval '1 hour' END) THEN
        RETURN json_build_object('refusal', 'range_too_long');
    END IF;
    SELECT array_agg(array_position(v_meter.group_by, g) ORDER BY n) INTO v_positions
      FROM unnest(p_group_by) WITH ORDINALITY u (g, n);
    IF array_position(v_positions, NULL) IS NOT NULL THEN
        RETURN json_build_object('refusal', 'group_unknown');
    END IF;
    v_positions := coalesce(v_positions, '{}');
    v_starts := usage_bucket_starts(v_since, v_until, p_interval, v_time_zone);

    v_found := usage_cells(v_meter, v_starts, v_until, p_subject, v_positions, p_max_cells, p_max_events,
                           p_max_series);
    IF v_found.o_exceeded IS NOT NULL THEN
        RETURN json_build_object('refusal', v_found.o_exceeded);
    END IF;
    IF coalesce(v_found.o_number_of_groups, 0) * cardinality(v_starts) > p_max_cells THEN
        RETURN json_build_object('refusal', 'too_many_cells');
    END IF;
    RETURN json_build_object(
        'organization_id', prefixed_id('org_', v_organization_id),
        'token_expires_millis', unix_millis(v_principal.expires_at),
        'valid_until_millis', unix_millis(date_bin('15 minutes', now(), 'epoch') + interval '15 minutes'),
        'meter', v_meter.slug, 'aggregation', v_meter.aggregation, 'time_zone', v_time_zone,
        'since', rfc3339(v_since), 'until', rfc3339(v_until),
        'starts', (SELECT json_agg(rfc3339(s) ORDER BY n) FROM unnest(v_starts) WITH ORDINALITY u (s, n)),
        'events', coalesce(v_found.o_events, 0), 'groups', coalesce(v_found.o_groups, '[]'));
END;
$$;
