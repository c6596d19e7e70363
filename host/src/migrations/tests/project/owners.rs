//! Whatever belongs to an organization can live on the server of that organization: every key of
//! its tables begins with the organization, and nothing numbers the rows of two.

use super::*;

/// What does not begin with an organization, by the reason: tables that have none, and keys of
/// those that have one as `table.key`. The list may only get shorter.
const EXCEPTIONS: [(&str, &[&str]); 8] = [
    ("The owner itself", &["organizations"]),
    (
        "People, and how they sign in: they belong to several organizations or to none",
        &[
            "email_tokens",
            "login_attempts",
            "notice_counts",
            "recovery_codes",
            "totp_enrolments",
            "users",
        ],
    ),
    (
        "The catalog, which is the same for everybody",
        &["built_in_roles", "permissions", "plan_versions", "plans"],
    ),
    (
        "The platform's own",
        &[
            "cursor_secrets",
            "deployment_secrets",
            "function_sets",
            "hash_leases",
            "installed_functions",
            "mail_quota",
            "schema_migrations",
            "signing_keys",
        ],
    ),
    (
        "Totals of the platform over all organizations",
        &[
            "credit_liabilities",
            "credit_totals_daily",
            "operation_counts",
            "subscription_totals_by_plan",
            "subscription_totals_daily",
        ],
    ),
    (
        "No unique index spans partitions by time: the key of an event is in usage_event_keys",
        &["usage_event_batches.no primary key"],
    ),
    (
        "What the operator's other systems call an account is the operator's, not the organization's",
        &["billing_accounts.billing_accounts_by_external_id"],
    ),
    (
        "A membership is what joins a person to an organization",
        &["memberships.memberships_user_id_fkey"],
    ),
];

/// The tables without an organization; of those with one the keys that begin with something else,
/// the sequences, and the lack of a primary key; and the sequences of no table.
const FOUND: &str = "
    WITH tables AS (
        SELECT c.oid, c.relname::text AS name, a.attnum AS owner
          FROM pg_class c
          LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'organization_id' AND NOT a.attisdropped
         WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
    ), sequences AS (
        SELECT s.relname::text AS name, d.refobjid AS table_oid
          FROM pg_class s
          LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = s.oid
                               AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
         WHERE s.relnamespace = 'public'::regnamespace AND s.relkind = 'S'
    ), keys AS (
        SELECT conrelid AS table_oid, conname::text AS name, conkey[1] AS first
          FROM pg_constraint WHERE contype = 'f'
        UNION ALL
        SELECT i.indrelid, c.relname::text, i.indkey[0]
          FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indisunique
    )
    SELECT name FROM tables WHERE owner IS NULL
    UNION
    SELECT t.name || '.' || k.name FROM tables t JOIN keys k ON k.table_oid = t.oid WHERE k.first <> t.owner
    UNION
    SELECT t.name || '.' || s.name FROM tables t JOIN sequences s ON s.table_oid = t.oid WHERE t.owner IS NOT NULL
    UNION
    SELECT t.name || '.no primary key' FROM tables t
     WHERE t.owner IS NOT NULL
       AND NOT EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = t.oid AND i.indisprimary)
    UNION
    SELECT name FROM sequences WHERE table_oid IS NULL";

async fn found(client: &Client) -> BTreeSet<String> {
    let rows = client
        .query(FOUND, &[])
        .await
        .expect("the catalog can be read");
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn keys_begin_with_the_organization() {
    let directory = ScratchDirectory::new();
    let cluster = Cluster::start(directory.path(), Durability::Test)
        .await
        .expect("the private cluster starts");
    let client = migrated(&cluster).await;

    let found_before = found(&client).await;
    let mut excepted = BTreeSet::new();
    let mut faults = Vec::new();
    for (reason, names) in EXCEPTIONS {
        for name in names {
            if !excepted.insert((*name).to_owned()) {
                faults.push(format!("{name} is listed twice"));
            }
            if !found_before.contains(*name) {
                faults.push(format!(
                    "{name} begins with its organization by now, or is gone: take it from the list \
                     of those of which it says \"{reason}\""
                ));
            }
        }
    }
    for name in found_before.difference(&excepted) {
        faults.push(format!(
            "{name} does not begin with the organization that it belongs to"
        ));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));

    // Each kind of fault is found.
    client
        .batch_execute(
            "CREATE SEQUENCE loose;
             CREATE TABLE ownerless (id uuid PRIMARY KEY);
             CREATE TABLE keyless (organization_id uuid NOT NULL);
             CREATE TABLE owned (
                 id              uuid PRIMARY KEY,
                 organization_id uuid NOT NULL REFERENCES organizations (id),
                 number          bigint GENERATED ALWAYS AS IDENTITY,
                 owner_id        uuid CONSTRAINT owned_reference REFERENCES ownerless (id)
             );
             CREATE UNIQUE INDEX owned_index ON owned (number, organization_id);
             CREATE UNIQUE INDEX owned_expression ON owned ((number + 1));
             CREATE TABLE obeying (organization_id uuid, id uuid, PRIMARY KEY (organization_id, id));
             CREATE UNIQUE INDEX obeying_index ON obeying (organization_id, (id::text))",
        )
        .await
        .expect("the tables can be made");
    let expected = [
        "keyless.no primary key",
        "loose",
        "owned.owned_expression",
        "owned.owned_index",
        "owned.owned_number_seq",
        "owned.owned_pkey",
        "owned.owned_reference",
        "ownerless",
    ];
    let found_after = found(&client).await;
    let new: Vec<_> = found_after.difference(&found_before).collect();
    assert_eq!(new, expected);
    cluster.stop().await.expect("the private cluster stops");
}
