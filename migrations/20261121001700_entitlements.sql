-- Entitlements: which features a subject of an organization, or the organization
-- itself, may use, and how much of them. What was used is what a meter counted, so
-- nothing is counted here.

INSERT INTO permissions (name, description, is_platform) VALUES
    ('entitlements:read',   'See and check entitlements', false),
    ('entitlements:manage', 'Give, change, reset and revoke entitlements of the organization''s subjects', false),
    ('entitlements:grant',  'Give, change, reset and revoke any organization''s entitlements', true);
UPDATE roles SET permissions = permissions || ARRAY['entitlements:read']
 WHERE organization_id IS NULL AND name IN ('owner', 'admin', 'member');
UPDATE roles SET permissions = permissions || ARRAY['entitlements:manage']
 WHERE organization_id IS NULL AND name IN ('owner', 'admin');
UPDATE roles SET permissions = permissions || ARRAY['entitlements:grant']
 WHERE organization_id IS NULL AND name = 'platform_admin';

CREATE TABLE entitlements (
    organization_id         uuid NOT NULL REFERENCES organizations (id),
    id                      uuid NOT NULL,
    -- The order of the list.
    sequence                bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    -- As usage events name it; '' for the organization itself, as rollups have it.
    subject                 text COLLATE "C" NOT NULL,
    feature                 text COLLATE "C" NOT NULL CHECK (feature ~ '^[a-z][a-z0-9_-]{0,63}$'),
    type                    text NOT NULL CHECK (type IN ('boolean', 'metered')),
    meter_id                uuid,
    usage_limit             numeric CHECK (usage_limit > 0),
    period                  text CHECK (period IN ('day', 'month', 'year', 'never')),
    -- The zone whose midnights the periods have; null for the organization's. What the
    -- organization itself was given keeps the zone of then, because an admin who moved
    -- the organization to where a day has just begun would have the whole limit again.
    time_zone               text,
    -- Whether use is allowed beyond the limit.
    is_soft                 boolean,
    expires_at              timestamptz,
    -- The one that entitlement_names has: neither revoked, nor replaced after it expired.
    is_current              boolean NOT NULL DEFAULT true,
    created_at              timestamptz NOT NULL DEFAULT now(),
    updated_at              timestamptz NOT NULL DEFAULT now(),
    revoked_at              timestamptz,
    -- The last reset: the period that it was in, and what had been used of it. That
    -- period keeps its bounds when the organization moves to another zone.
    reset_at                timestamptz,
    reset_period_started_at timestamptz,
    reset_period_ends_at    timestamptz,
    used_before             numeric,
    -- What was counted from the start of a period until no event can change it any
    -- more, so that no check sums up a year.
    settled_from            timestamptz,
    settled_until           timestamptz,
    settled_used            numeric,
    PRIMARY KEY (organization_id, id),
    FOREIGN KEY (organization_id, meter_id) REFERENCES meters (organization_id, id),
    CHECK (CASE type WHEN 'boolean' THEN num_nonnulls(meter_id, usage_limit, period, is_soft) = 0
                     ELSE num_nonnulls(meter_id, usage_limit, period, is_soft) = 4 END),
    CHECK (num_nonnulls(reset_at, reset_period_started_at, reset_period_ends_at, used_before) IN (0, 4)),
    CHECK (num_nonnulls(settled_from, settled_until, settled_used) IN (0, 3)),
    CHECK (NOT (is_current AND revoked_at IS NOT NULL))
);

-- These serve the list, newest first: of everything, of a subject and of a feature.
CREATE UNIQUE INDEX entitlements_by_sequence ON entitlements (organization_id, sequence) WHERE is_current;
CREATE INDEX entitlements_by_subject ON entitlements (organization_id, subject, sequence) WHERE is_current;
CREATE INDEX entitlements_by_feature ON entitlements (organization_id, feature, sequence) WHERE is_current;

-- The current entitlement to each feature of a subject, where the check looks for it.
-- Apart from the others and with one index, because a plan that knows no values may
-- take any index that begins with the organization, and so read all of a large one's.
CREATE TABLE entitlement_names (
    organization_id uuid NOT NULL,
    subject         text COLLATE "C" NOT NULL,
    feature         text COLLATE "C" NOT NULL,
    entitlement_id  uuid NOT NULL,
    PRIMARY KEY (organization_id, subject, feature),
    FOREIGN KEY (organization_id, entitlement_id) REFERENCES entitlements (organization_id, id)
);

-- How many current ones an organization has, because to count 100,000 takes 10 ms.
CREATE TABLE entitlement_counts (
    organization_id uuid PRIMARY KEY REFERENCES organizations (id),
    current         integer NOT NULL CHECK (current >= 0)
);

-- Each reset, by the Idempotency-Key that it came with, so that one that is sent twice
-- is one.
CREATE TABLE entitlement_resets (
    organization_id uuid NOT NULL,
    entitlement_id  uuid NOT NULL,
    key             text COLLATE "C" NOT NULL,
    reset_at        timestamptz NOT NULL,
    -- What had been used since the period began, or since the reset before in it.
    used            numeric NOT NULL,
    PRIMARY KEY (organization_id, entitlement_id, key),
    FOREIGN KEY (organization_id, entitlement_id) REFERENCES entitlements (organization_id, id)
);

-- ---------------------------------------------------------------------------
-- What the functions below share.
-- ---------------------------------------------------------------------------

-- How long after its time an event can still come: the 35 days that are taken, and a
-- day for clocks that differ and statements that are under way.
CREATE FUNCTION entitlement_settling_interval() RETURNS interval
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN interval '36 days';

-- An entitlement as the API shows it, and its place in the list, which the API does not.
CREATE FUNCTION entitlement_json(p_entitlement entitlements) RETURNS json
LANGUAGE sql STABLE
RETURN json_build_object(
    'id', prefixed_id('ent_', (p_entitlement).id),
    'organization_id', prefixed_id('org_', (p_entitlement).organization_id),
    'subject', nullif((p_entitlement).subject, ''), 'feature', (p_entitlement).feature, 'type', (p_entitlement).type,
    'meter', (SELECT m.slug FROM meters m
               WHERE m.organization_id = (p_entitlement).organization_id AND m.id = (p_entitlement).meter_id),
    'limit', trim_scale((p_entitlement).usage_limit)::text, 'period', (p_entitlement).period,
    'is_soft', (p_entitlement).is_soft, 'expires_at', rfc3339((p_entitlement).expires_at),
    'reset_at', rfc3339((p_entitlement).reset_at), 'created_at', rfc3339((p_entitlement).created_at),
    'updated_at', rfc3339((p_entitlement).updated_at), 'revoked_at', rfc3339((p_entitlement).revoked_at),
    'sequence', (p_entitlement).sequence);

-- What a caller is told about the entitlements of an organization, or null to go on.
-- Only the platform reaches another organization than its own.
CREATE FUNCTION entitlements_refusal(p_principal principal, p_organization_id uuid, p_permission text) RETURNS json
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN (p_principal).user_id IS NULL THEN '{"outcome":"unauthenticated"}'::json
    WHEN 'entitlements:grant' = ANY ((p_principal).permissions) THEN NULL
    WHEN p_permission <> ALL ((p_principal).permissions) THEN '{"outcome":"forbidden"}'::json
    WHEN p_organization_id <> (p_principal).organization_id THEN '{"outcome":"grant_required"}'::json
END;

-- Holds the organization's row, so that changes of its entitlements come one after
-- the other, and says who asks as of then. Without an organization named it is the
-- caller's.
CREATE FUNCTION entitlements_hold(
    p_digest bytea, p_organization_id uuid, OUT caller principal, OUT refusal json, OUT organization_id uuid
)
LANGUAGE plpgsql AS $$
BEGIN
    caller := authenticate(p_digest);
    organization_id := coalesce(p_organization_id, caller.organization_id);
    refusal := entitlements_refusal(caller, organization_id, 'entitlements:manage');
    IF refusal IS NULL THEN
        PERFORM 1 FROM organizations o WHERE o.id = entitlements_hold.organization_id FOR NO KEY UPDATE;
        IF NOT FOUND THEN
            refusal := json_build_object('outcome', 'organization_unknown');
            RETURN;
        END IF;
        caller := authenticate(p_digest);
        refusal := entitlements_refusal(caller, organization_id, 'entitlements:manage');
    END IF;
END;
$$;

-- As entitlements_hold, and looks for the entitlement that is to be changed. What the
-- organization itself was given is not its own to change.
CREATE FUNCTION entitlement_hold(
    p_digest bytea, p_organization_id uuid, p_id uuid,
    OUT caller principal, OUT refusal json, OUT entitlement entitlements
)
LANGUAGE plpgsql AS $$
DECLARE
    v_hold record;
BEGIN
    v_hold := entitlements_hold(p_digest, p_organization_id);
    caller := v_hold.caller;
    refusal := v_hold.refusal;
    IF refusal IS NOT NULL THEN
        -- Nothing is in an organization that there is not.
        IF refusal ->> 'outcome' = 'organization_unknown' THEN
            refusal := json_build_object('outcome', 'not_found');
        END IF;
        RETURN;
    END IF;
    SELECT * INTO entitlement FROM entitlements e WHERE e.organization_id = v_hold.organization_id AND e.id = p_id;
    IF NOT FOUND THEN
        refusal := json_build_object('outcome', 'not_found');
    ELSIF entitlement.subject = '' AND 'entitlements:grant' <> ALL (caller.permissions) THEN
        refusal := json_build_object('outcome', 'grant_required');
    END IF;
END;
$$;

-- Counts current entitlements up or down; the organization's row is held.
CREATE FUNCTION entitlement_count_add(p_organization_id uuid, p_added integer) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO entitlement_counts AS c (organization_id, current) VALUES (p_organization_id, greatest(p_added, 0))
    ON CONFLICT (organization_id) DO UPDATE SET current = c.current + p_added
$$;

-- The period of a time in a zone: from midnight to midnight there.
CREATE FUNCTION entitlement_period(
    p_period text, p_time_zone text, p_at timestamptz, OUT started_at timestamptz, OUT ends_at timestamptz
)
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_length interval;
    v_start timestamp;
BEGIN
    IF p_period = 'never' THEN
        started_at := '-infinity';
        ends_at := 'infinity';
        RETURN;
    END IF;
    v_length := ('1 ' || p_period)::interval;
    v_start := date_trunc(p_period, p_at AT TIME ZONE p_time_zone);
    IF v_start AT TIME ZONE p_time_zone > p_at THEN
        -- Where clocks are put back to midnight, the day begins at the second one.
        v_start := v_start - v_length;
    END IF;
    started_at := v_start AT TIME ZONE p_time_zone;
    ends_at := (v_start + v_length) AT TIME ZONE p_time_zone;
END;
$$;

-- What was used of an entitlement in its period at p_at; nulls for one without a
-- meter. Stable, so that it sees what the statement does that read the entitlement:
-- a reset is in both, or in neither. `settles_until` is until when the sum is final
-- by now, and `settles_used` the sum until then.
CREATE FUNCTION entitlement_usage(
    p_entitlement entitlements, p_at timestamptz, OUT started_at timestamptz, OUT ends_at timestamptz,
    OUT counted numeric, OUT used numeric, OUT settles_until timestamptz, OUT settles_used numeric
)
LANGUAGE plpgsql STABLE
SET jit = off
AS $$
DECLARE
    v_is_count boolean;
    v_since timestamptz;
    v_settled numeric := 0;
    v_final numeric;
BEGIN
    IF p_entitlement.meter_id IS NULL THEN
        RETURN;
    END IF;
    IF p_entitlement.reset_period_ends_at > p_at THEN
        started_at := p_entitlement.reset_period_started_at;
        ends_at := p_entitlement.reset_period_ends_at;
    ELSE
        SELECT p.started_at, p.ends_at INTO started_at, ends_at
          FROM organizations o,
               entitlement_period(p_entitlement.period, coalesce(p_entitlement.time_zone, o.time_zone), p_at) p
         WHERE o.id = p_entitlement.organization_id;
        -- In the zone that the organization has moved to, the period may have begun
        -- before the one that was reset ended, of which nothing counts any more.
        started_at := greatest(started_at, p_entitlement.reset_period_ends_at);
    END IF;
    SELECT m.aggregation = 'count' INTO v_is_count FROM meters m
     WHERE m.organization_id = p_entitlement.organization_id AND m.id = p_entitlement.meter_id;
    v_since := started_at;
    IF p_entitlement.settled_from = started_at THEN
        v_since := p_entitlement.settled_until;
        v_settled := p_entitlement.settled_used;
    END IF;
    -- By whole days, so that a day's checks settle once.
    settles_until := greatest(v_since, date_bin('1 day', p_at - entitlement_settling_interval(), 'epoch'));
    IF p_entitlement.subject = '' THEN
        SELECT sum(CASE WHEN v_is_count THEN r.events ELSE r.total END),
               sum(CASE WHEN v_is_count THEN r.events ELSE r.total END) FILTER (WHERE r.slot_at < settles_until)
          INTO counted, v_final
          FROM usage_rollups r
         WHERE r.organization_id = p_entitlement.organization_id AND r.meter_id = p_entitlement.meter_id
           AND r.slot_at >= v_since AND r.slot_at < entitlement_usage.ends_at;
    ELSE
        SELECT sum(CASE WHEN v_is_count THEN r.events ELSE r.total END),
               sum(CASE WHEN v_is_count THEN r.events ELSE r.total END) FILTER (WHERE r.slot_at < settles_until)
          INTO counted, v_final
          FROM usage_subject_rollups r
         WHERE r.organization_id = p_entitlement.organization_id AND r.meter_id = p_entitlement.meter_id
           AND r.subject = p_entitlement.subject AND r.slot_at >= v_since AND r.slot_at < entitlement_usage.ends_at;
    END IF;
    counted := v_settled + coalesce(counted, 0);
    settles_used := v_settled + coalesce(v_final, 0);
    IF settles_until = v_since THEN
        settles_until := NULL;
    END IF;
    used := counted;
    IF p_entitlement.reset_period_ends_at > p_at THEN
        used := counted - p_entitlement.used_before;
    END IF;
END;
$$;

-- ---------------------------------------------------------------------------
-- The check.
-- ---------------------------------------------------------------------------

-- Whether a feature may be used now, exact to the last event that was acknowledged.
-- Without a quantity: whether anything is left. It reads, and reserves nothing; what
-- it writes is a sum that does not change any more, once a day.
CREATE FUNCTION entitlement_check(p_digest bytea, p_feature text, p_subject text, p_quantity numeric) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'entitlements:read');
    v_now timestamptz := clock_timestamp();
    v_id uuid;
    v_found record;
    v_entitlement entitlements;
    v_reason text;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    SELECT n.entitlement_id INTO v_id FROM entitlement_names n
     WHERE n.organization_id = v_principal.organization_id AND n.subject = coalesce(p_subject, '')
       AND n.feature = p_feature;
    SELECT e AS entitlement, u.* INTO v_found
      FROM entitlements e, entitlement_usage(e, v_now) u
     WHERE e.organization_id = v_principal.organization_id AND e.id = v_id;
    IF NOT FOUND THEN
        RETURN json_build_object('outcome', 'checked', 'has_access', false, 'reason', 'not_entitled');
    END IF;
    v_entitlement := v_found.entitlement;
    v_reason := CASE
        WHEN v_entitlement.expires_at <= v_now THEN 'expired'
        WHEN v_entitlement.is_soft THEN NULL
        WHEN p_quantity IS NULL AND v_found.used >= v_entitlement.usage_limit THEN 'limit_reached'
        WHEN v_found.used + p_quantity > v_entitlement.usage_limit THEN 'limit_reached' END;
    IF v_found.settles_until IS NOT NULL THEN
        -- Whoever holds the row does not keep the check waiting: the next one settles.
        PERFORM 1 FROM entitlements e
          WHERE e.organization_id = v_entitlement.organization_id AND e.id = v_entitlement.id
            AND (e.settled_from, e.settled_until) IS NOT DISTINCT FROM (v_entitlement.settled_from, v_entitlement.settled_until)
            FOR NO KEY UPDATE SKIP LOCKED;
        IF FOUND THEN
            UPDATE entitlements e
               SET settled_from = v_found.started_at, settled_until = v_found.settles_until,
                   settled_used = v_found.settles_used
             WHERE e.organization_id = v_entitlement.organization_id AND e.id = v_entitlement.id;
        END IF;
    END IF;
    -- Zero times what was used, so that without a meter there is nothing at all.
    RETURN json_build_object(
        'outcome', 'checked', 'has_access', v_reason IS NULL, 'reason', v_reason, 'type', v_entitlement.type,
        'limit', trim_scale(v_entitlement.usage_limit)::text, 'used', trim_scale(v_found.used)::text,
        'remaining', trim_scale(greatest(v_entitlement.usage_limit - v_found.used, v_found.used * 0))::text,
        'overage', trim_scale(greatest(v_found.used - v_entitlement.usage_limit, v_found.used * 0))::text,
        'period_started_at', rfc3339(nullif(v_found.started_at, '-infinity')),
        'resets_at', rfc3339(nullif(v_found.ends_at, 'infinity')));
END;
$$;

-- ---------------------------------------------------------------------------
-- Give, show, change, revoke and reset.
-- ---------------------------------------------------------------------------

-- Gives an entitlement. Safe to send twice: the id is the caller's. One that has
-- expired makes room for the next.
CREATE FUNCTION entitlement_create(
    p_digest bytea, p_id uuid, p_organization_id uuid, p_subject text, p_feature text, p_type text, p_meter text,
    p_limit numeric, p_period text, p_is_soft boolean, p_expires_at timestamptz, p_max_current integer
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_hold record := entitlements_hold(p_digest, p_organization_id);
    v_caller principal := v_hold.caller;
    v_now timestamptz := clock_timestamp();
    v_entitlement entitlements;
    v_expired entitlements;
    v_meter meters;
BEGIN
    IF v_hold.refusal IS NOT NULL THEN
        RETURN v_hold.refusal;
    END IF;
    IF p_subject IS NULL THEN
        IF 'entitlements:grant' <> ALL (v_caller.permissions) THEN
            RETURN json_build_object('outcome', 'grant_required');
        ELSIF p_organization_id IS NULL THEN
            RETURN json_build_object('outcome', 'organization_required');
        END IF;
    END IF;
    SELECT * INTO v_entitlement FROM entitlements WHERE organization_id = v_hold.organization_id AND id = p_id;
    IF FOUND THEN
        RETURN json_build_object('outcome', 'created', 'entitlement', entitlement_json(v_entitlement));
    END IF;
    IF p_expires_at <= v_now THEN
        RETURN json_build_object('outcome', 'expires_too_early');
    END IF;
    IF p_meter IS NOT NULL THEN
        SELECT * INTO v_meter FROM meters
         WHERE organization_id = v_hold.organization_id AND slug = p_meter AND archived_at IS NULL;
        IF NOT FOUND THEN
            RETURN json_build_object('outcome', 'meter_unknown');
        ELSIF v_meter.aggregation NOT IN ('count', 'sum') THEN
            RETURN json_build_object('outcome', 'meter_unsupported');
        END IF;
    END IF;
    SELECT n.entitlement_id INTO v_expired.id FROM entitlement_names n
     WHERE n.organization_id = v_hold.organization_id AND n.subject = coalesce(p_subject, '') AND n.feature = p_feature;
    IF FOUND THEN
        SELECT * INTO v_expired FROM entitlements WHERE organization_id = v_hold.organization_id AND id = v_expired.id;
        IF v_expired.expires_at IS NULL OR v_expired.expires_at > v_now THEN
            RETURN json_build_object('outcome', 'entitlement_exists');
        END IF;
        UPDATE entitlements SET is_current = false
         WHERE organization_id = v_hold.organization_id AND id = v_expired.id;
    ELSE
        IF (SELECT current FROM entitlement_counts WHERE organization_id = v_hold.organization_id) >= p_max_current THEN
            RETURN json_build_object('outcome', 'entitlement_limit');
        END IF;
        PERFORM entitlement_count_add(v_hold.organization_id, 1);
    END IF;
    INSERT INTO entitlements (organization_id, id, subject, feature, type, meter_id, usage_limit, period, time_zone,
                              is_soft, expires_at, created_at, updated_at)
    VALUES (v_hold.organization_id, p_id, coalesce(p_subject, ''), p_feature, p_type, v_meter.id, p_limit, p_period,
            CASE WHEN p_subject IS NULL THEN (SELECT o.time_zone FROM organizations o WHERE o.id = v_hold.organization_id) END,
            p_is_soft, p_expires_at, v_now, v_now)
    RETURNING * INTO v_entitlement;
    INSERT INTO entitlement_names (organization_id, subject, feature, entitlement_id)
    VALUES (v_hold.organization_id, v_entitlement.subject, p_feature, p_id)
    ON CONFLICT (organization_id, subject, feature) DO UPDATE SET entitlement_id = excluded.entitlement_id;
    PERFORM audit_append(
        v_hold.organization_id, 'entitlement.created', v_caller.user_id, prefixed_id('ent_', p_id),
        jsonb_strip_nulls(jsonb_build_object(
            'feature', p_feature, 'subject', p_subject, 'type', p_type, 'meter', p_meter,
            'limit', trim_scale(p_limit)::text, 'period', p_period, 'is_soft', p_is_soft,
            'expires_at', rfc3339(p_expires_at), 'replaces', prefixed_id('ent_', v_expired.id))));
    RETURN json_build_object('outcome', 'created', 'entitlement', entitlement_json(v_entitlement));
END;
$$;

CREATE FUNCTION entitlement_read(p_digest bytea, p_organization_id uuid, p_id uuid) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_organization_id uuid := coalesce(p_organization_id, v_principal.organization_id);
    v_refusal json := entitlements_refusal(v_principal, v_organization_id, 'entitlements:read');
    v_entitlement entitlements;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    SELECT * INTO v_entitlement FROM entitlements WHERE organization_id = v_organization_id AND id = p_id;
    IF NOT FOUND THEN
        RETURN json_build_object('outcome', 'not_found');
    END IF;
    RETURN json_build_object('outcome', 'found', 'entitlement', entitlement_json(v_entitlement));
END;
$$;

-- A page of the current entitlements of an organization, newest first, and one more if
-- there is one.
CREATE FUNCTION entitlements_list(
    p_digest bytea, p_organization_id uuid, p_subject text, p_feature text, p_limit integer, p_before bigint
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_organization_id uuid := coalesce(p_organization_id, v_principal.organization_id);
    v_refusal json := entitlements_refusal(v_principal, v_organization_id, 'entitlements:read');
    v_page entitlements[];
    v_id uuid;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    -- A statement for each, so that each has the plan of its index.
    IF p_subject IS NOT NULL AND p_feature IS NOT NULL THEN
        SELECT n.entitlement_id INTO v_id FROM entitlement_names n
         WHERE n.organization_id = v_organization_id AND n.subject = p_subject AND n.feature = p_feature;
        v_page := ARRAY(SELECT e FROM entitlements e
                         WHERE e.organization_id = v_organization_id AND e.id = v_id AND e.sequence < p_before);
    ELSIF p_subject IS NOT NULL THEN
        v_page := ARRAY(SELECT e FROM entitlements e
                         WHERE e.organization_id = v_organization_id AND e.is_current AND e.subject = p_subject
                           AND e.sequence < p_before ORDER BY e.sequence DESC LIMIT p_limit + 1);
    ELSIF p_feature IS NOT NULL THEN
        v_page := ARRAY(SELECT e FROM entitlements e
                         WHERE e.organization_id = v_organization_id AND e.is_current AND e.feature = p_feature
                           AND e.sequence < p_before ORDER BY e.sequence DESC LIMIT p_limit + 1);
    ELSE
        v_page := ARRAY(SELECT e FROM entitlements e
                         WHERE e.organization_id = v_organization_id AND e.is_current
                           AND e.sequence < p_before ORDER BY e.sequence DESC LIMIT p_limit + 1);
    END IF;
    RETURN json_build_object('outcome', 'listed', 'entitlements', (
        SELECT coalesce(json_agg(entitlement_json(e) ORDER BY e.sequence DESC), '[]'::json) FROM unnest(v_page) e));
END;
$$;

-- Changes a limit, whether it is soft, and when it ends; null leaves the first two as
-- they are, and the last one too unless p_sets_expiry says that there is none.
CREATE FUNCTION entitlement_change(
    p_digest bytea, p_organization_id uuid, p_id uuid, p_limit numeric, p_is_soft boolean, p_sets_expiry boolean,
    p_expires_at timestamptz
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_hold record := entitlement_hold(p_digest, p_organization_id, p_id);
    v_caller principal := v_hold.caller;
    v_entitlement entitlements := v_hold.entitlement;
    v_changed entitlements;
BEGIN
    IF v_hold.refusal IS NOT NULL THEN
        RETURN v_hold.refusal;
    ELSIF NOT v_entitlement.is_current THEN
        RETURN json_build_object('outcome', 'ended');
    ELSIF v_entitlement.type = 'boolean' AND num_nonnulls(p_limit, p_is_soft) > 0 THEN
        RETURN json_build_object('outcome', 'not_metered');
    END IF;
    v_changed := v_entitlement;
    v_changed.usage_limit := coalesce(p_limit, v_entitlement.usage_limit);
    v_changed.is_soft := coalesce(p_is_soft, v_entitlement.is_soft);
    IF p_sets_expiry THEN
        v_changed.expires_at := p_expires_at;
    END IF;
    IF v_changed IS DISTINCT FROM v_entitlement THEN
        -- The time that it has already may be past.
        IF v_changed.expires_at IS DISTINCT FROM v_entitlement.expires_at AND p_expires_at <= clock_timestamp() THEN
            RETURN json_build_object('outcome', 'expires_too_early');
        END IF;
        UPDATE entitlements e
           SET usage_limit = v_changed.usage_limit, is_soft = v_changed.is_soft, expires_at = v_changed.expires_at,
               updated_at = clock_timestamp()
         WHERE e.organization_id = v_entitlement.organization_id AND e.id = p_id
        RETURNING * INTO v_changed;
        PERFORM audit_append(
            v_entitlement.organization_id, 'entitlement.changed', v_caller.user_id, prefixed_id('ent_', p_id),
            jsonb_build_object(
                'feature', v_changed.feature, 'subject', nullif(v_changed.subject, ''),
                'limit', trim_scale(v_changed.usage_limit)::text, 'is_soft', v_changed.is_soft,
                'expires_at', rfc3339(v_changed.expires_at),
                'previous', jsonb_build_object(
                    'limit', trim_scale(v_entitlement.usage_limit)::text, 'is_soft', v_entitlement.is_soft,
                    'expires_at', rfc3339(v_entitlement.expires_at))));
    END IF;
    RETURN json_build_object('outcome', 'saved', 'entitlement', entitlement_json(v_changed));
END;
$$;

-- Takes an entitlement away. Of one that was revoked before nothing changes.
CREATE FUNCTION entitlement_revoke(p_digest bytea, p_organization_id uuid, p_id uuid) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_hold record := entitlement_hold(p_digest, p_organization_id, p_id);
    v_caller principal := v_hold.caller;
    v_entitlement entitlements := v_hold.entitlement;
BEGIN
    IF v_hold.refusal IS NOT NULL THEN
        RETURN v_hold.refusal;
    END IF;
    IF v_entitlement.revoked_at IS NULL THEN
        IF v_entitlement.is_current THEN
            PERFORM entitlement_count_add(v_entitlement.organization_id, -1);
            DELETE FROM entitlement_names n
             WHERE n.organization_id = v_entitlement.organization_id AND n.subject = v_entitlement.subject
               AND n.feature = v_entitlement.feature;
        END IF;
        UPDATE entitlements e SET is_current = false, revoked_at = clock_timestamp(), updated_at = clock_timestamp()
         WHERE e.organization_id = v_entitlement.organization_id AND e.id = p_id
        RETURNING * INTO v_entitlement;
        PERFORM audit_append(
            v_entitlement.organization_id, 'entitlement.revoked', v_caller.user_id, prefixed_id('ent_', p_id),
            jsonb_build_object('feature', v_entitlement.feature, 'subject', nullif(v_entitlement.subject, '')));
    END IF;
    RETURN json_build_object('outcome', 'revoked', 'entitlement', entitlement_json(v_entitlement));
END;
$$;

-- Lets usage count from now on: what was counted until now is subtracted until the
-- period ends. Safe to send twice, because the key is the same.
CREATE FUNCTION entitlement_reset(p_digest bytea, p_organization_id uuid, p_id uuid, p_key text) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_hold record := entitlement_hold(p_digest, p_organization_id, p_id);
    v_caller principal := v_hold.caller;
    v_entitlement entitlements := v_hold.entitlement;
    v_now timestamptz := clock_timestamp();
    v_usage record;
    v_used numeric;
BEGIN
    IF v_hold.refusal IS NOT NULL THEN
        RETURN v_hold.refusal;
    END IF;
    SELECT used INTO v_used FROM entitlement_resets
     WHERE organization_id = v_entitlement.organization_id AND entitlement_id = p_id AND key = p_key;
    IF NOT FOUND THEN
        IF NOT v_entitlement.is_current THEN
            RETURN json_build_object('outcome', 'ended');
        ELSIF v_entitlement.type = 'boolean' THEN
            RETURN json_build_object('outcome', 'not_metered');
        END IF;
        SELECT * INTO v_usage FROM entitlement_usage(v_entitlement, v_now);
        v_used := v_usage.used;
        UPDATE entitlements e
           SET reset_at = v_now, reset_period_started_at = v_usage.started_at, reset_period_ends_at = v_usage.ends_at,
               used_before = v_usage.counted, updated_at = v_now
         WHERE e.organization_id = v_entitlement.organization_id AND e.id = p_id
        RETURNING * INTO v_entitlement;
        INSERT INTO entitlement_resets (organization_id, entitlement_id, key, reset_at, used)
        VALUES (v_entitlement.organization_id, p_id, p_key, v_now, v_used);
        PERFORM audit_append(
            v_entitlement.organization_id, 'entitlement.reset', v_caller.user_id, prefixed_id('ent_', p_id),
            jsonb_build_object('feature', v_entitlement.feature, 'subject', nullif(v_entitlement.subject, ''),
                               'used', trim_scale(v_used)::text));
    END IF;
    RETURN json_build_object('outcome', 'reset', 'entitlement', entitlement_json(v_entitlement),
                             'used_before', trim_scale(v_used)::text);
END;
$$;
