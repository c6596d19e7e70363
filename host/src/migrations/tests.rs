use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use super::schema::{parse_file_name, transaction_statement};
use super::*;
use shared::store::timeouts::SESSION_TIMEOUTS;

use crate::postgres_cluster::{Cluster, Durability, ScratchDirectory};

mod pooler;
mod project;
mod rollout;
mod sets;

const FIRST: (&str, &str) = (
    "20260101000000_customers.sql",
    "CREATE TABLE customers (id BIGINT PRIMARY KEY);",
);
const SECOND: (&str, &str) = (
    "20260102000000_names.sql",
    "ALTER TABLE customers ADD name TEXT;",
);
const THIRD: (&str, &str) = (
    "20260103000000_orders.sql",
    "CREATE TABLE orders (id BIGINT PRIMARY KEY);",
);

#[test]
fn file_names() {
    for (name, expected) in [
        (
            "20260131120000_create_accounts.sql",
            Some((20260131120000, "create_accounts")),
        ),
        ("20260131120000_a1.sql", Some((20260131120000, "a1"))),
        ("20260131120000_.sql", None),
        ("20260131120000.sql", None),
        ("2026013112000_short.sql", None),
        ("+0260131120000_sign.sql", None),
        ("20260131120000_Upper.sql", None),
        ("20260131120000_two words.sql", None),
        ("20260131120000_x.sql.bak", None),
        ("readme.sql", None),
    ] {
        let expected = expected.map(|(version, name)| (version, name.to_owned()));
        assert_eq!(
            parse_file_name(name),
            expected,
            "the file name {name} was misread"
        );
    }
}

#[test]
fn statements_that_end_the_transaction() {
    for (sql, expected) in [
        ("SELECT 1;\nCOMMIT;\n", Some("COMMIT;")),
        ("  begin;  ", Some("begin;")),
        (
            "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$\nBEGIN\n  NULL;\nEND;\n$$;",
            None,
        ),
        ("-- COMMIT; at the end", None),
    ] {
        assert_eq!(transaction_statement(sql), expected, "misjudged {sql:?}");
    }
}

/// What every project has, because a program without functions did not find its files.
const FUNCTION: (&str, &str) = (
    "shared/sql/text/shout.sql",
    "-- In capitals.
CREATE OR REPLACE FUNCTION shout(p_text text) RETURNS text
LANGUAGE sql IMMUTABLE RETURN upper(p_text);
",
);

/// A database of its own for each case, and a project.
struct Case {
    url: String,
    folder: ScratchDirectory,
}

impl Case {
    async fn new(cluster: &Cluster) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("case_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        cluster
            .ensure_database(&name)
            .await
            .expect("the cluster creates databases");
        Self {
            url: cluster.url(&name),
            folder: ScratchDirectory::new(),
        }
        .with(&[FUNCTION])
    }

    /// Where a file of the project is. One without a folder is a migration.
    fn path(&self, name: &str) -> PathBuf {
        let root = self.folder.path();
        if name.contains('/') {
            root.join(name)
        } else {
            root.join("migrations").join(name)
        }
    }

    fn with(self, files: &[(&str, &str)]) -> Self {
        for (name, sql) in files {
            let path = self.path(name);
            let folder = path.parent().expect("a file has a folder");
            std::fs::create_dir_all(folder).expect("the scratch directory can be written");
            std::fs::write(path, sql).expect("the scratch directory can be written");
        }
        self
    }

    fn without(self, name: &str) -> Self {
        std::fs::remove_file(self.path(name)).expect("the file is there");
        self
    }

    async fn migrate(&self) -> Result<Report> {
        migrate(&self.url, self.folder.path()).await
    }

    /// Migrates, and compares the names applied, or a part of the refusal.
    async fn expect(self, expected: Result<&[&str], &str>) -> Self {
        match (self.migrate().await, expected) {
            (Ok(report), Ok(names)) => {
                let applied = report.migrations.iter().map(|one| one.name.as_str());
                let applied: Vec<_> = applied.collect();
                assert_eq!(applied, names, "these should have been applied");
            }
            (Err(error), Err(part)) => {
                let text = format!("{error:#}");
                assert!(
                    text.contains(part),
                    "the refusal should say {part:?}: {text}"
                );
            }
            (Ok(applied), Err(part)) => {
                panic!("this should have been refused with {part:?}, and applied {applied:?}")
            }
            (Err(error), Ok(names)) => panic!("this should have applied {names:?}: {error:#}"),
        }
        self
    }

    async fn has_table(&self, table: &str) -> bool {
        let client = connect(&self.url).await.expect("the database answers");
        let row = client
            .query_one("SELECT to_regclass($1) IS NOT NULL", &[&table])
            .await
            .expect("the query is right");
        row.get(0)
    }
}

#[tokio::test]
async fn migrations_on_a_real_server() {
    let directory = ScratchDirectory::new();
    let cluster = Cluster::start(directory.path(), Durability::Test)
        .await
        .expect("the private cluster starts");

    // Fresh, again, and with one more file.
    let case = Case::new(&cluster)
        .await
        .with(&[SECOND, FIRST, ("README.md", "not a migration")]);
    let case = case.expect(Ok(&["customers", "names"])).await;
    let case = case
        .expect(Ok(&[]))
        .await
        .with(&[THIRD])
        .expect(Ok(&["orders"]))
        .await;
    // Carriage returns are no edit; a change is, until it is taken back.
    let case = case
        .with(&[(FIRST.0, "CREATE TABLE customers (id INT);")])
        .expect(Err("Restore the file"))
        .await;
    let case = case.with(&[FIRST]).expect(Ok(&[])).await;
    // A missing file is refused while newer ones exist, and accepted from a newer release that
    // has the same functions.
    let case = case
        .without(SECOND.0)
        .expect(Err("20260102000000_names.sql was applied"))
        .await;
    case.with(&[SECOND]).without(THIRD.0).expect(Ok(&[])).await;

    // Out of order, and with no order at all.
    let case = Case::new(&cluster)
        .await
        .with(&[FIRST, THIRD])
        .expect(Ok(&["customers", "orders"]))
        .await;
    case.with(&[SECOND])
        .expect(Err("Rename it to a later time"))
        .await;
    let twin = ("20260101000000_twin.sql", "SELECT 1;");
    Case::new(&cluster)
        .await
        .with(&[FIRST, twin])
        .expect(Err("have the same version"))
        .await;
    Case::new(&cluster)
        .await
        .with(&[("first.sql", "SELECT 1;")])
        .expect(Err("YYYYMMDDHHMMSS_purpose.sql"))
        .await;
    let sneaky = (
        "20260101000000_sneaky.sql",
        "CREATE TABLE a (id INT);\nCOMMIT;\n",
    );
    Case::new(&cluster)
        .await
        .with(&[sneaky])
        .expect(Err("contains `COMMIT;`"))
        .await;

    // Broken SQL leaves nothing, of its file or of those before it.
    let broken = (
        SECOND.0,
        "CREATE TABLE half (id INT);\nALTER TABLE nowhere ADD name TEXT;",
    );
    let case = Case::new(&cluster)
        .await
        .with(&[FIRST, broken])
        .expect(Err("nothing was kept"))
        .await;
    assert!(
        !case.has_table("half").await,
        "a failed migration must be rolled back whole"
    );
    assert!(
        !case.has_table("customers").await,
        "and so must those before it"
    );
    case.with(&[SECOND])
        .expect(Ok(&["customers", "names"]))
        .await;
    let misspelt = (
        "20260101000000_misspelt.sql",
        "SELECT 1;\nSELECT 2;\nSELEC 3;",
    );
    Case::new(&cluster)
        .await
        .with(&[misspelt])
        .expect(Err("line 3"))
        .await;

    // Eight at once: every file is applied exactly once.
    let case = Case::new(&cluster).await.with(&[FIRST, SECOND, THIRD]);
    let results = futures::future::join_all((0..8).map(|_| case.migrate())).await;
    let reports: Vec<_> = results
        .into_iter()
        .map(|one| one.expect("parallel callers must all succeed"))
        .collect();
    let applied: usize = reports.iter().map(|one| one.migrations.len()).sum();
    let sets = reports.iter().filter_map(|one| one.functions.applied);
    assert_eq!(
        (applied, sets.sum::<usize>()),
        (3, 1),
        "eight parallel callers must apply each file once in total"
    );
    let case = case.expect(Ok(&[])).await;

    // Sessions have the timeouts from then on, and what is migrated later does not.
    let client = connect(&case.url).await.expect("the database answers");
    for (name, millis) in SESSION_TIMEOUTS {
        let row = client
            .query_one(
                "SELECT setting, source FROM pg_settings WHERE name = $1",
                &[&name],
            )
            .await
            .expect("the query is right");
        let found: (&str, &str) = (row.get(0), row.get(1));
        assert_eq!(
            found,
            (millis.to_string().as_str(), "database user"),
            "{name} is another one"
        );
    }
    let slow = (
        "20260104000000_slow.sql",
        "DO $$ BEGIN
             ASSERT current_setting('statement_timeout') = '0', 'it would be cut off';
             ASSERT current_setting('idle_in_transaction_session_timeout') = '0', 'it would be cut off';
         END; $$;",
    );
    let case = case.with(&[slow]).expect(Ok(&["slow"])).await;

    let missing = migrate(&case.url, Path::new("/nowhere"))
        .await
        .expect_err("a missing folder must be refused");
    assert!(
        format!("{missing:#}").contains("/nowhere"),
        "name the folder: {missing:#}"
    );
    cluster.stop().await.expect("the private cluster stops");
}
