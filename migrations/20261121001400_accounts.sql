-- Accounts: who is billed.
--
-- Every organization has one from its creation, whose id has the UUID of the organization. A
-- person has another one in an organization where they pay for themselves.

INSERT INTO permissions (name, description, is_platform) VALUES
    ('billing:manage',  'Change to whom, where and how the organization is billed', false),
    ('accounts:read',   'See any account', true),
    ('accounts:manage', 'Make, change, close and reopen any account', true);

UPDATE built_in_roles SET permissions = permissions || ARRAY['billing:manage'] WHERE name IN ('owner', 'admin');
UPDATE built_in_roles SET permissions = permissions || ARRAY['accounts:read', 'accounts:manage']
 WHERE name = 'platform_admin';

CREATE TABLE billing_accounts (
    -- Looked at when the transaction ends: an account that comes with an organization is written first.
    organization_id        uuid NOT NULL REFERENCES organizations (id) DEFERRABLE INITIALLY DEFERRED,
    -- That of the organization, or one with its slot for a person's account.
    id                     uuid NOT NULL,
    -- Whose account it is within the organization; null for the organization's own.
    user_id                uuid,
    kind                   text NOT NULL CHECK (kind IN ('organization', 'person')),
    name                   text NOT NULL,
    -- What the operator's other systems call it.
    external_id            text COLLATE "C",
    email                  text,
    phone                  text,
    -- Objects with line1, line2, city, postal_code, region and country, none of which must be there.
    billing_address        jsonb,
    shipping_address       jsonb,
    -- A list of objects with type and value.
    tax_ids                jsonb NOT NULL DEFAULT '[]',
    -- Null until it is chosen.
    currency               text CHECK (currency ~ '^[A-Z]{3}$'),
    -- The zone whose days and months its periods have.
    time_zone              text NOT NULL DEFAULT 'UTC',
    locale                 text,
    -- Days from an invoice until it is due.
    payment_terms_days     integer NOT NULL DEFAULT 0 CHECK (payment_terms_days BETWEEN 0 AND 365),
    -- An object with grace_days, consolidation and footer, none of which must be there.
    invoice_settings       jsonb NOT NULL DEFAULT '{}',
    -- An object of texts.
    metadata               jsonb NOT NULL DEFAULT '{}',
    -- The account that pays for this one. It may be of another organization, and so on another server:
    -- no foreign key leads to it, and no account is ever deleted.
    parent_organization_id uuid,
    parent_id              uuid,
    status                 text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'closed')),
    version                bigint NOT NULL DEFAULT 1 CHECK (version > 0),
    -- Never billed for real; then it may have a clock of its own.
    is_test                boolean NOT NULL DEFAULT false,
    test_clock_at          timestamptz,
    created_at             timestamptz NOT NULL DEFAULT now(),
    updated_at             timestamptz NOT NULL DEFAULT now(),
    closed_at              timestamptz,
    -- Serves one account, and the list of an organization's, newest first.
    PRIMARY KEY (organization_id, id),
    CHECK ((user_id IS NULL) = (id = organization_id)),
    CHECK ((parent_id IS NULL) = (parent_organization_id IS NULL)),
    CHECK ((status = 'closed') = (closed_at IS NOT NULL)),
    CHECK (is_test OR test_clock_at IS NULL)
    -- Most changes touch no index, and so find room on the page.
) WITH (fillfactor = 80);

-- Allows one account for each person in an organization. The organization's own has its id.
CREATE UNIQUE INDEX billing_accounts_by_user ON billing_accounts (organization_id, user_id) WHERE user_id IS NOT NULL;
-- Allows one account for each id of the operator's, on this server, and serves the look-up by it.
CREATE UNIQUE INDEX billing_accounts_by_external_id ON billing_accounts (external_id) WHERE external_id IS NOT NULL;
-- Serves the list of all, and an account by its id alone.
CREATE INDEX billing_accounts_by_id ON billing_accounts (id);
-- Serves the list by status.
CREATE INDEX billing_accounts_by_status ON billing_accounts (status, id);
-- Serves the list by currency.
CREATE INDEX billing_accounts_by_currency ON billing_accounts (currency, id) WHERE currency IS NOT NULL;
-- Serve the search by the beginning of a name or of an email.
CREATE INDEX billing_accounts_by_name ON billing_accounts ((left(lower(name), 100)) COLLATE "C", id);
CREATE INDEX billing_accounts_by_email ON billing_accounts ((left(lower(email), 100)) COLLATE "C", id)
    WHERE email IS NOT NULL;
-- Serves the children of a parent.
CREATE INDEX billing_accounts_by_parent ON billing_accounts (parent_organization_id, parent_id)
    WHERE parent_id IS NOT NULL;

-- As for memberships: one account is looked up by its key, and most organizations have one.
ALTER TABLE billing_accounts ALTER COLUMN organization_id SET (n_distinct = -0.1);

-- The metadata of accounts once more, where the list by a key and its value finds them in order.
CREATE TABLE billing_account_metadata (
    organization_id uuid NOT NULL,
    key             text COLLATE "C" NOT NULL,
    value           text COLLATE "C" NOT NULL,
    account_id      uuid NOT NULL,
    PRIMARY KEY (organization_id, key, account_id),
    FOREIGN KEY (organization_id, account_id) REFERENCES billing_accounts (organization_id, id)
);

-- Serves the list by metadata.
CREATE INDEX billing_account_metadata_by_value ON billing_account_metadata (key, value, account_id);

-- Keeps billing_account_metadata beside what it is taken from.
CREATE FUNCTION billing_account_metadata_keep() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        DELETE FROM billing_account_metadata m
         USING jsonb_object_keys(OLD.metadata) k
         WHERE m.organization_id = OLD.organization_id AND m.key = k AND m.account_id = OLD.id;
    END IF;
    INSERT INTO billing_account_metadata (organization_id, key, value, account_id)
    SELECT NEW.organization_id, e.key, e.value, NEW.id FROM jsonb_each_text(NEW.metadata) e;
    RETURN NULL;
END;
$$;

CREATE TRIGGER billing_accounts_metadata_insert AFTER INSERT ON billing_accounts
    FOR EACH ROW WHEN (NEW.metadata <> '{}') EXECUTE FUNCTION billing_account_metadata_keep();
CREATE TRIGGER billing_accounts_metadata_update AFTER UPDATE OF metadata ON billing_accounts
    FOR EACH ROW WHEN (OLD.metadata <> NEW.metadata) EXECUTE FUNCTION billing_account_metadata_keep();

-- The account's clock: its own in test mode, if it has one.
CREATE FUNCTION billing_account_now(p_account billing_accounts) RETURNS timestamptz
LANGUAGE sql VOLATILE
RETURN coalesce((p_account).test_clock_at, clock_timestamp());

-- Gives a new organization its account, whoever makes the organization, unless it was written already.
CREATE FUNCTION organization_account_add() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO billing_accounts (organization_id, id, kind, name, time_zone)
    VALUES (NEW.id, NEW.id, 'organization', NEW.name, NEW.time_zone)
    ON CONFLICT (organization_id, id) DO NOTHING;
    RETURN NULL;
END;
$$;

CREATE TRIGGER organizations_account AFTER INSERT ON organizations
    FOR EACH ROW EXECUTE FUNCTION organization_account_add();

INSERT INTO billing_accounts (organization_id, id, kind, name, time_zone, created_at, updated_at)
SELECT id, id, 'organization', name, time_zone, created_at, created_at FROM organizations;
