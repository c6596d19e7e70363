-- The catalog of plans. A plan is the platform's and the same for everybody; what
-- it charges is in its versions, which never change.

INSERT INTO permissions (name, description, is_platform) VALUES
    ('plans:read',   'See plans and estimate prices', false),
    ('plans:manage', 'Make and change plans and their versions', true);
UPDATE roles SET permissions = permissions || ARRAY['plans:read']
 WHERE organization_id IS NULL AND name IN ('owner', 'admin', 'member');
-- Reading too, for whoever has a role of an organization's own beside it.
UPDATE roles SET permissions = permissions || ARRAY['plans:read', 'plans:manage']
 WHERE organization_id IS NULL AND name = 'platform_admin';

CREATE TABLE plans (
    id             uuid PRIMARY KEY,
    code           text COLLATE "C" NOT NULL CHECK (code ~ '^[a-z0-9][a-z0-9_-]{0,63}$'),
    -- The order of the list.
    sequence       bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    name           text NOT NULL,
    currency       text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    billing_period text NOT NULL CHECK (billing_period IN ('month', 'year')),
    -- The number of versions, which is that of the newest.
    versions       integer NOT NULL DEFAULT 0 CHECK (versions >= 0),
    created_at     timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now(),
    archived_at    timestamptz,
    CONSTRAINT plans_by_code UNIQUE (code),
    CONSTRAINT plans_by_sequence UNIQUE (sequence)
);

-- Append-only, so that whoever names a version means the same prices for good.
CREATE TABLE plan_versions (
    plan_id    uuid NOT NULL REFERENCES plans (id),
    version    integer NOT NULL CHECK (version > 0),
    -- Drawn by whoever asked, so that a statement that is sent twice makes one.
    id         uuid NOT NULL UNIQUE,
    -- As the rating engine reads them, checked by it before.
    terms      jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    created_by uuid NOT NULL,
    PRIMARY KEY (plan_id, version)
);
CREATE TRIGGER plan_versions_append_only
    BEFORE UPDATE OR DELETE ON plan_versions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER plan_versions_no_truncate
    BEFORE TRUNCATE ON plan_versions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What is decided when a plan is made holds for its versions and for whoever has
-- them, so it never changes.
CREATE FUNCTION plan_refuse_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF (new.id, new.code, new.sequence, new.currency, new.billing_period, new.created_at)
       IS DISTINCT FROM
       (old.id, old.code, old.sequence, old.currency, old.billing_period, old.created_at)
       OR new.versions < old.versions THEN
        RAISE EXCEPTION 'of a plan only the name and whether it is archived change' USING ERRCODE = 'TP002';
    END IF;
    RETURN new;
END;
$$;
CREATE TRIGGER plans_fixed BEFORE UPDATE ON plans
    FOR EACH ROW EXECUTE FUNCTION plan_refuse_change();

-- A plan as the API shows it, and its place in the list, which the API does not.
CREATE FUNCTION plan_json(p_plan plans) RETURNS json
LANGUAGE sql STABLE PARALLEL SAFE
RETURN json_build_object(
    'id', prefixed_id('pln_', (p_plan).id), 'code', (p_plan).code, 'name', (p_plan).name,
    'currency', (p_plan).currency, 'billing_period', (p_plan).billing_period,
    'newest_version', nullif((p_plan).versions, 0), 'archived', (p_plan).archived_at IS NOT NULL,
    'created_at', rfc3339((p_plan).created_at), 'updated_at', rfc3339((p_plan).updated_at),
    'sequence', (p_plan).sequence);

-- A version without its terms. Who made it is the platform's affair, and null to
-- whoever does not manage plans.
CREATE FUNCTION plan_version_json(p_version plan_versions, p_principal principal) RETURNS json
LANGUAGE sql STABLE PARALLEL SAFE
RETURN json_build_object(
    'version', (p_version).version,
    'charge_count', jsonb_array_length((p_version).terms -> 'charges'),
    'created_at', rfc3339((p_version).created_at),
    'created_by', CASE WHEN 'plans:manage' = ANY ((p_principal).permissions)
                       THEN prefixed_id('usr_', (p_version).created_by) END);

-- ---------------------------------------------------------------------------
-- Plans.
-- ---------------------------------------------------------------------------

-- A page of plans, newest first, and one more if there is one.
CREATE FUNCTION plans_list(p_digest bytea, p_limit integer, p_before bigint) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_refusal json := refusal(authenticate(p_digest), 'plans:read');
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    RETURN json_build_object('outcome', 'listed', 'plans', (
        SELECT coalesce(json_agg(plan_json(p) ORDER BY p.sequence DESC), '[]'::json)
          FROM (SELECT * FROM plans WHERE sequence < p_before ORDER BY sequence DESC LIMIT p_limit + 1) p));
END;
$$;

CREATE FUNCTION plan_read(p_digest bytea, p_code text) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_refusal json := refusal(authenticate(p_digest), 'plans:read');
    v_plan plans;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    SELECT * INTO v_plan FROM plans WHERE code = p_code;
    IF NOT FOUND THEN
        RETURN json_build_object('outcome', 'not_found');
    END IF;
    RETURN json_build_object('outcome', 'found', 'plan', plan_json(v_plan));
END;
$$;

-- Makes a plan. The same plan again is answered as it is, and one with the same
-- code and other terms is refused.
CREATE FUNCTION plan_create(
    p_digest bytea, p_id uuid, p_code text, p_name text, p_currency text, p_billing_period text
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'plans:manage');
    v_plan plans;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    -- Looked for first, because a refused insert uses up a number of the sequence.
    SELECT * INTO v_plan FROM plans WHERE code = p_code;
    IF NOT FOUND THEN
        INSERT INTO plans (id, code, name, currency, billing_period)
        VALUES (p_id, p_code, p_name, p_currency, p_billing_period)
        ON CONFLICT (code) DO NOTHING
        RETURNING * INTO v_plan;
        IF FOUND THEN
            PERFORM audit_append(
                v_principal.organization_id, 'plan.created', v_principal.user_id, prefixed_id('pln_', p_id),
                jsonb_build_object('code', p_code, 'name', p_name, 'currency', p_currency,
                                   'billing_period', p_billing_period));
        ELSE
            -- Made by somebody else between the two statements.
            SELECT * INTO v_plan FROM plans WHERE code = p_code;
        END IF;
    END IF;
    IF v_plan.id = p_id THEN
        RETURN json_build_object('outcome', 'created', 'plan', plan_json(v_plan));
    END IF;
    IF (v_plan.name, v_plan.currency, v_plan.billing_period) = (p_name, p_currency, p_billing_period) THEN
        RETURN json_build_object('outcome', 'unchanged', 'plan', plan_json(v_plan));
    END IF;
    RETURN json_build_object('outcome', 'plan_exists');
END;
$$;

-- Gives a plan another name, archives it or takes it from the archive; null leaves
-- each as it is.
CREATE FUNCTION plan_change(p_digest bytea, p_code text, p_name text, p_archived boolean) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'plans:manage');
    v_plan plans;
    v_archived boolean;
    v_changes jsonb;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    SELECT * INTO v_plan FROM plans WHERE code = p_code FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN json_build_object('outcome', 'not_found');
    END IF;
    v_archived := v_plan.archived_at IS NOT NULL;
    v_changes := jsonb_strip_nulls(jsonb_build_object(
        'name', CASE WHEN p_name <> v_plan.name THEN p_name END,
        'previous_name', CASE WHEN p_name <> v_plan.name THEN v_plan.name END,
        'archived', CASE WHEN p_archived <> v_archived THEN p_archived END));
    IF v_changes <> '{}' THEN
        UPDATE plans
           SET name = coalesce(p_name, name), updated_at = clock_timestamp(),
               archived_at = CASE WHEN p_archived IS NULL OR p_archived = v_archived THEN archived_at
                                  WHEN p_archived THEN clock_timestamp() END
         WHERE id = v_plan.id
        RETURNING * INTO v_plan;
        PERFORM audit_append(v_principal.organization_id, 'plan.changed', v_principal.user_id,
                             prefixed_id('pln_', v_plan.id), jsonb_build_object('code', p_code) || v_changes);
    END IF;
    RETURN json_build_object('outcome', 'saved', 'plan', plan_json(v_plan));
END;
$$;

-- ---------------------------------------------------------------------------
-- Versions.
-- ---------------------------------------------------------------------------

-- A page of a plan's versions without their terms, newest first, and one more if
-- there is one.
CREATE FUNCTION plan_versions_list(p_digest bytea, p_code text, p_limit integer, p_before bigint) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'plans:read');
    v_plan_id uuid;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    SELECT id INTO v_plan_id FROM plans WHERE code = p_code;
    IF NOT FOUND THEN
        RETURN json_build_object('outcome', 'not_found');
    END IF;
    RETURN json_build_object('outcome', 'listed', 'versions', (
        SELECT coalesce(json_agg(plan_version_json(v, v_principal) ORDER BY v.version DESC), '[]'::json)
          FROM (SELECT * FROM plan_versions WHERE plan_id = v_plan_id AND version < p_before
                 ORDER BY version DESC LIMIT p_limit + 1) v));
END;
$$;

-- A version with its terms; the newest one when none is named.
CREATE FUNCTION plan_version_read(p_digest bytea, p_code text, p_version integer) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'plans:read');
    v_plan plans;
    v_version plan_versions;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    SELECT * INTO v_plan FROM plans WHERE code = p_code;
    IF NOT FOUND THEN
        RETURN json_build_object('outcome', 'not_found');
    END IF;
    -- Versions are numbered without a gap, so the newest is the one with their number.
    SELECT * INTO v_version FROM plan_versions
     WHERE plan_id = v_plan.id AND version = coalesce(p_version, v_plan.versions);
    IF NOT FOUND THEN
        RETURN json_build_object('outcome', 'version_not_found');
    END IF;
    RETURN json_build_object('outcome', 'found', 'plan_name', v_plan.name,
                             'version', plan_version_json(v_version, v_principal), 'terms', v_version.terms);
END;
$$;

-- Adds a version, unless it would be the same as the newest, which is then answered.
CREATE FUNCTION plan_version_create(
    p_digest bytea, p_id uuid, p_code text, p_terms text, p_max_versions integer
) RETURNS json
LANGUAGE plpgsql AS $$
DECLARE
    v_principal principal := authenticate(p_digest);
    v_refusal json := refusal(v_principal, 'plans:manage');
    v_terms jsonb := p_terms;
    v_plan plans;
    v_version plan_versions;
BEGIN
    IF v_refusal IS NOT NULL THEN
        RETURN v_refusal;
    END IF;
    -- Of versions that are made at once each waits for the one before it.
    SELECT * INTO v_plan FROM plans WHERE code = p_code FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN json_build_object('outcome', 'not_found');
    END IF;
    -- Sent twice, it was made by the first.
    SELECT * INTO v_version FROM plan_versions WHERE id = p_id;
    IF FOUND THEN
        RETURN json_build_object('outcome', 'created', 'version', plan_version_json(v_version, v_principal),
                                 'terms', v_version.terms);
    END IF;
    SELECT * INTO v_version FROM plan_versions WHERE plan_id = v_plan.id AND version = v_plan.versions;
    IF v_version.terms = v_terms THEN
        RETURN json_build_object('outcome', 'unchanged', 'version', plan_version_json(v_version, v_principal),
                                 'terms', v_version.terms);
    END IF;
    IF v_plan.currency <> v_terms ->> 'currency' THEN
        RETURN json_build_object('outcome', 'other_currency', 'currency', v_plan.currency);
    END IF;
    IF v_plan.archived_at IS NOT NULL THEN
        RETURN json_build_object('outcome', 'plan_archived');
    END IF;
    IF v_plan.versions >= p_max_versions THEN
        RETURN json_build_object('outcome', 'version_limit');
    END IF;
    UPDATE plans SET versions = versions + 1, updated_at = clock_timestamp() WHERE id = v_plan.id
    RETURNING * INTO v_plan;
    INSERT INTO plan_versions (plan_id, version, id, terms, created_at, created_by)
    VALUES (v_plan.id, v_plan.versions, p_id, v_terms, v_plan.updated_at, v_principal.user_id)
    RETURNING * INTO v_version;
    PERFORM audit_append(
        v_principal.organization_id, 'plan.versioned', v_principal.user_id, prefixed_id('pln_', v_plan.id),
        jsonb_build_object('code', p_code, 'version', v_version.version,
                           'terms_sha256', encode(sha256(convert_to(v_terms::text, 'UTF8')), 'hex')));
    RETURN json_build_object('outcome', 'created', 'version', plan_version_json(v_version, v_principal),
                             'terms', v_version.terms);
END;
$$;

-- Whether the token may have prices estimated that it brings itself.
CREATE FUNCTION pricing_estimate_begin(p_digest bytea) RETURNS json
LANGUAGE plpgsql AS $$
BEGIN
    RETURN coalesce(refusal(authenticate(p_digest), 'plans:read'), json_build_object('outcome', 'allowed'));
END;
$$;
