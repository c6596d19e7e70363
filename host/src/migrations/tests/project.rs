//! The SQL of this project: each function has one home, what Rust sends is understood, and a
//! database that was upgraded is the same as a fresh one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use tokio_postgres::Client;

use super::*;
use crate::component_statements;

mod ends;
mod owners;

fn project_root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the host has a folder in the project")
}

/// The files of a folder and those below it whose names end in `.sql` or `.rs`.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path
            .extension()
            .is_some_and(|end| end == "sql" || end == "rs")
        {
            files.push(path);
        }
    }
}

/// The files of these folders of the project, with their path from its root.
fn sources(folders: &[&str]) -> BTreeMap<String, String> {
    let root = project_root();
    let mut files = Vec::new();
    for folder in folders {
        collect(&root.join(folder), &mut files);
    }
    files
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(root).expect("it is below the root");
            let text = fs::read_to_string(&path).expect("the file can be read");
            (name.to_string_lossy().into_owned(), text)
        })
        .collect()
}

/// A database of this project's own.
async fn migrated(cluster: &Cluster) -> Client {
    cluster
        .ensure_database("project")
        .await
        .expect("the cluster creates databases");
    let url = cluster.url("project");
    migrate(&url, project_root())
        .await
        .expect("the project's files are applied");
    let client = connect(&url).await.expect("the database answers");
    // To check every function takes longer than a statement of a component may.
    client
        .batch_execute("SET statement_timeout = 0")
        .await
        .expect("a session sets its own timeouts");
    client
}

/// The functions that a source defines, and whether each is for triggers.
fn definitions(source: &str) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    for (position, _) in source.match_indices("CREATE ") {
        let rest = &source[position + "CREATE ".len()..];
        let rest = rest.strip_prefix("OR REPLACE ").unwrap_or(rest);
        let Some(rest) = ["FUNCTION ", "PROCEDURE "]
            .iter()
            .find_map(|kind| rest.strip_prefix(kind))
        else {
            continue;
        };
        let head = rest.split_once("AS $").map_or(rest, |(head, _)| head);
        if let Some((name, rest)) = head.split_once('(') {
            found.push((name.trim().to_owned(), rest.contains("RETURNS trigger")));
        }
    }
    found
}

#[test]
fn every_function_is_defined_once_in_the_file_of_its_name() {
    let folders = ["migrations", "functions", "shared"];
    let mut homes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut faults = Vec::new();
    for (file, source) in sources(&folders) {
        let is_migration = file.starts_with("migrations/");
        let is_in_sql_folder = file.contains("/sql/");
        let defined = definitions(&source);
        if is_in_sql_folder && defined.len() != 1 {
            faults.push(format!(
                "{file} defines {} functions, and should one",
                defined.len()
            ));
        }
        for (name, is_for_triggers) in defined {
            let is_own_file = is_in_sql_folder && file.ends_with(&format!("/{name}.sql"));
            if !is_migration && !is_own_file {
                faults.push(format!(
                    "{file} defines {name}, which belongs into {name}.sql"
                ));
            }
            // A trigger's function changes with a migration.
            if !is_for_triggers {
                homes.entry(name).or_default().push(file.clone());
            }
        }
    }
    assert!(homes.len() > 200, "these are too few: {homes:?}");
    for (name, files) in homes.iter().filter(|(_, files)| files.len() > 1) {
        faults.push(format!("{name} is defined in {}", files.join(" and ")));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn definitions_are_found() {
    let source = "CREATE TABLE f (a int);\n-- Calls f().\nCREATE FUNCTION a(p int) RETURNS int AS $$ x $$;\n\
                  CREATE OR REPLACE PROCEDURE b ()\nAS $$ RETURNS trigger $$;\n\
                  CREATE OR REPLACE FUNCTION c() RETURNS trigger\nLANGUAGE plpgsql AS $$ y $$;";
    let found = definitions(source);
    let expected = [("a", false), ("b", false), ("c", true)];
    assert_eq!(
        found,
        expected.map(|(name, is_for_triggers)| (name.to_owned(), is_for_triggers))
    );
}

#[tokio::test]
async fn the_sql_is_understood() {
    let directory = ScratchDirectory::new();
    let cluster = Cluster::start(directory.path(), Durability::Test)
        .await
        .expect("the private cluster starts");
    let client = migrated(&cluster).await;

    let faults = [
        statements_that_are_refused(&client).await,
        bodies_that_are_refused(&client).await,
        faults_of_plpgsql(&client).await,
    ]
    .concat();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    cluster.stop().await.expect("the private cluster stops");
}

/// Prepares whatever a component may send.
async fn statements_that_are_refused(client: &Client) -> Vec<String> {
    let mut faults = Vec::new();
    let mut count = 0;
    for (file, source) in sources(&["functions", "shared"]) {
        if file.ends_with(".rs") {
            let found = match component_statements::of(&source) {
                Ok(found) => found,
                Err(fault) => {
                    faults.push(format!("{file}: {fault}"));
                    continue;
                }
            };
            for sql in found {
                count += 1;
                if let Err(error) = client.prepare(&sql).await {
                    faults.push(format!("{file}: {sql}\n  {}", explain(&error, &sql)));
                }
            }
        }
    }
    assert!(count > 100, "{count} statements are too few");
    faults
}

/// Creates each function once more, where all others exist, with its body looked at. This is for
/// bodies of plain SQL: those of PL/pgSQL are hardly looked at by this.
async fn bodies_that_are_refused(client: &Client) -> Vec<String> {
    let mut faults = Vec::new();
    for (file, sql) in sources(&["functions", "shared"]) {
        if file.ends_with(".sql")
            && let Err(error) = client.batch_execute(&sql).await
        {
            faults.push(format!("{file}: {}", explain(&error, &sql)));
        }
    }
    faults
}

/// What `plpgsql_check` says of a function that answers with several values of which one is a row.
/// That is how a step hands on the row that it holds.
const ROW_AMONG_RESULTS: &str = "warning extra:00000:composite OUT variable";

/// What `plpgsql_check` has to say about any function. A trigger's function is checked with its
/// tables.
async fn faults_of_plpgsql(client: &Client) -> Vec<String> {
    let version: i32 = client
        .query_one(
            "SELECT current_setting('server_version_num')::integer / 10000",
            &[],
        )
        .await
        .expect("the server says its version")
        .get(0);
    client
        .batch_execute("CREATE SCHEMA checker; CREATE EXTENSION plpgsql_check SCHEMA checker")
        .await
        .unwrap_or_else(|error| {
            panic!(
                "the extension plpgsql_check is missing: install the package \
                 postgresql-{version}-plpgsql-check ({error:?})"
            )
        });
    let rows = client
        .query(
            "WITH checked AS (
                 SELECT p.oid, t.tgrelid AS relation
                   FROM pg_proc p
                   JOIN pg_language l ON l.oid = p.prolang AND l.lanname = 'plpgsql'
                   LEFT JOIN (SELECT DISTINCT tgfoid, tgrelid FROM pg_trigger) t ON t.tgfoid = p.oid
                  WHERE p.pronamespace = 'public'::regnamespace
             )
             SELECT c.oid::regprocedure::text, coalesce(c.relation::regclass::text, ''),
                    count(*) OVER (), f.message
               FROM checked c
               LEFT JOIN LATERAL checker.plpgsql_check_function(
                   c.oid::regprocedure, coalesce(c.relation, 0)::regclass, fatal_errors => false) f(message) ON true
              ORDER BY 1, 2",
            &[],
        )
        .await
        .expect("every function can be checked");
    assert!(rows.len() > 100, "{} functions are too few", rows.len());
    rows.iter()
        .filter_map(|row| {
            let (function, relation) = (row.get::<_, &str>(0), row.get::<_, &str>(1));
            row.get::<_, Option<&str>>(3)
                .filter(|message| !message.starts_with(ROW_AMONG_RESULTS))
                .map(|message| format!("{function} {relation}: {message}"))
        })
        .collect()
}

/// Copies what is needed to migrate.
fn copy(to: &Path) {
    for (file, text) in sources(&["migrations", "functions", "shared"]) {
        if file.ends_with(".sql") {
            let path = to.join(file);
            fs::create_dir_all(path.parent().expect("a file has a folder"))
                .and_then(|()| fs::write(path, text))
                .expect("the scratch directory can be written");
        }
    }
}

#[tokio::test]
async fn an_upgraded_database_is_a_fresh_one() {
    let directory = ScratchDirectory::new();
    let cluster = Cluster::start(directory.path(), Durability::Test)
        .await
        .expect("the private cluster starts");
    let fresh = migrated(&cluster).await;

    // An earlier release: one function has another body, one another signature, one is gone since,
    // and one is not there yet.
    let earlier = ScratchDirectory::new();
    copy(earlier.path());
    let file = |name: &str| earlier.path().join(name);
    let changed = file("shared/sql/credits/max_due_grants.sql");
    let text = fs::read_to_string(&changed).expect("the file is there");
    let other = text.replace("RETURN 150;", "RETURN 149;");
    assert_ne!(text, other, "the function returns another number");
    fs::write(&changed, other).expect("it can be changed");
    fs::write(
        file("functions/credits-holds/sql/max_open_holds.sql"),
        "CREATE OR REPLACE FUNCTION max_open_holds(p_currency text) RETURNS bigint LANGUAGE sql RETURN 1;",
    )
    .expect("it can be changed");
    fs::write(
        file("shared/sql/credits/max_of_old.sql"),
        "CREATE OR REPLACE FUNCTION max_of_old() RETURNS bigint LANGUAGE sql RETURN max_due_grants();",
    )
    .expect("it can be added");
    fs::remove_file(file("shared/sql/metering/usage_store.sql")).expect("it can be removed");

    cluster
        .ensure_database("upgraded")
        .await
        .expect("the cluster creates databases");
    let url = cluster.url("upgraded");
    let upgraded = connect(&url).await.expect("the database answers");
    migrate(&url, earlier.path())
        .await
        .expect("the earlier release is applied");
    assert_ne!(catalog(&upgraded).await, catalog(&fresh).await);
    migrate(&url, project_root())
        .await
        .expect("the release is applied");
    assert_ne!(catalog(&upgraded).await, catalog(&fresh).await);
    let report = migrate_and_prune(&url, project_root())
        .await
        .expect("what is left over is dropped");
    assert_eq!(
        report.functions.pruned,
        ["max_of_old()", "max_open_holds(text)"]
    );

    let (upgraded, fresh) = (catalog(&upgraded).await, catalog(&fresh).await);
    assert!(fresh.len() > 1_000, "{} objects are too few", fresh.len());
    for (object, definition) in &fresh {
        assert_eq!(upgraded.get(object), Some(definition), "{object} differs");
    }
    for object in upgraded.keys() {
        assert!(
            fresh.contains_key(object),
            "{object} is in the upgraded one alone"
        );
    }
    cluster.stop().await.expect("the private cluster stops");
}

/// Every object of the schema with its definition, and what is recorded of the functions.
async fn catalog(client: &Client) -> BTreeMap<String, String> {
    let rows = client
        .query(
            "SELECT 'function ' || oid::regprocedure, pg_get_functiondef(oid) FROM pg_proc
              WHERE pronamespace = 'public'::regnamespace
             UNION ALL
             SELECT concat_ws(' ', 'relation', relkind, relname),
                    concat_ws(' ', relpersistence, reloptions, pg_get_partkeydef(oid), pg_get_expr(relpartbound, oid),
                              CASE WHEN relkind = 'v' THEN pg_get_viewdef(oid) END,
                              CASE WHEN relkind = 'i' THEN pg_get_indexdef(oid) END)
               FROM pg_class WHERE relnamespace = 'public'::regnamespace
             UNION ALL
             SELECT concat_ws(' ', 'column', c.relname, a.attname),
                    concat_ws(' ', a.attnum, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity,
                              a.attoptions, a.attcollation::regcollation, pg_get_expr(d.adbin, d.adrelid))
               FROM pg_attribute a
               JOIN pg_class c ON c.oid = a.attrelid
               LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
              WHERE c.relnamespace = 'public'::regnamespace AND a.attnum > 0
             UNION ALL
             SELECT concat_ws(' ', 'constraint', conrelid::regclass, conname), pg_get_constraintdef(oid)
               FROM pg_constraint WHERE connamespace = 'public'::regnamespace
             UNION ALL
             SELECT concat_ws(' ', 'trigger', tgrelid::regclass, tgname), pg_get_triggerdef(oid)
               FROM pg_trigger WHERE NOT tgisinternal
             UNION ALL
             SELECT 'enum ' || enumtypid::regtype, string_agg(enumlabel, ' ' ORDER BY enumsortorder)
               FROM pg_enum GROUP BY enumtypid
             UNION ALL
             SELECT 'installed ' || name, string_agg(arguments, '; ' ORDER BY arguments)
               FROM installed_functions GROUP BY name",
            &[],
        )
        .await
        .expect("the catalog can be read");
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}
