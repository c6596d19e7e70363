-- The catalog of plans. A plan is the platform's and the same for everybody; what it
-- charges is in its versions, which never change.

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
    -- Serves a plan by its code.
    CONSTRAINT plans_by_code UNIQUE (code),
    -- Serves the list, newest first.
    CONSTRAINT plans_by_sequence UNIQUE (sequence)
);

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
    -- Serves a version by its number, the newest one, and the list.
    PRIMARY KEY (plan_id, version)
);

CREATE TRIGGER plan_versions_append_only
    BEFORE UPDATE OR DELETE ON plan_versions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER plan_versions_no_truncate
    BEFORE TRUNCATE ON plan_versions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
