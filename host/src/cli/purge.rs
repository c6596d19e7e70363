//! `turnpike purge`: deletes what has lapsed, or says how much has.
//!
//! It does what `POST /api/v1/retention/purges` does, by the same SQL function, until nothing is
//! left. Only the signing key is not looked at, because nobody asks who could be named.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep};
use tokio_postgres::Client;

use super::Project;
use super::arguments::PurgeArguments;
use super::database::Database;
use super::report::{self, Section};

/// Rows of each rule that one statement deletes: so many are gone within some tenths of a second.
const ROWS_PER_ROUND: i32 = 1_000;

/// Rows of each rule that are counted, so that a table which was never purged is soon counted.
const ROWS_COUNTED: i32 = 100_000;

/// How long somebody else's purge is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// The pause before it is asked for again.
const PAUSE: Duration = Duration::from_millis(100);

/// Purges, or counts what a purge would delete.
pub async fn run(project: &Project, arguments: PurgeArguments) -> Result<()> {
    let PurgeArguments {
        dry_run,
        database,
        json,
    } = arguments;
    let database = Database::open(project, database).await?;
    let client = database.client().await?;
    client
        .batch_execute("SET statement_timeout = '10s'; SET application_name = 'turnpike purge'")
        .await
        .context("cannot ask the database anything")?;
    let section = if dry_run {
        due(&client).await
    } else {
        purge(&client).await
    };
    drop(client);
    database.close().await?;
    let section = section?;
    if json {
        let text = serde_json::to_string_pretty(&report::json(&[section]))?;
        project.say(format_args!("{text}"));
    } else {
        project.say(format_args!("{}", section.text()));
    }
    Ok(())
}

/// How much has lapsed. Nothing is changed.
async fn due(client: &Client) -> Result<Section> {
    let due = ask(
        client,
        "SELECT retention_due(interval '0', $1)::text",
        ROWS_COUNTED,
    )
    .await?;
    Ok(Section {
        name: "lapsed",
        about: "rows that a purge would delete; of each kind no more than 100,000 are counted",
        columns: &["table", "kept_hours", "after", "lapsed_rows"],
        rows: due.as_array().cloned().unwrap_or_default(),
        note: None,
    })
}

/// Deletes until nothing is left that has lapsed.
async fn purge(client: &Client) -> Result<Section> {
    let mut sums = Map::new();
    let mut waits_since: Option<Instant> = None;
    loop {
        let round = ask(client, "SELECT retention_round($1)::text", ROWS_PER_ROUND).await?;
        for (table, rows) in round["deleted"].as_object().into_iter().flatten() {
            let sum = sums.get(table).and_then(Value::as_i64).unwrap_or_default();
            sums.insert(
                table.clone(),
                json!(sum + rows.as_i64().unwrap_or_default()),
            );
        }
        if round["is_complete"] == true {
            break;
        }
        if round["status"] == "done" {
            waits_since = None;
            continue;
        }
        if waits_since.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
            bail!(
                "somebody else has been purging for {} s; they delete the same rows",
                PATIENCE.as_secs()
            );
        }
        sleep(PAUSE).await;
    }
    let rows = sums
        .into_iter()
        .map(|(table, rows)| json!({ "table": table, "deleted_rows": rows }));
    Ok(Section {
        name: "purged",
        about: "rows that had lapsed and are gone",
        columns: &["table", "deleted_rows"],
        rows: rows.collect(),
        note: None,
    })
}

async fn ask(client: &Client, sql: &str, max_rows: i32) -> Result<Value> {
    let row = client
        .query_one(sql, &[&max_rows])
        .await
        .context("cannot purge: is the database migrated to this release?")?;
    serde_json::from_str(row.try_get(0)?).context("the database answers something else")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres_cluster::{Cluster, Durability, ScratchDirectory, connect};

    /// More than a round deletes.
    const LAPSED: i64 = 1_200;

    fn rows(section: &Section, table: &str, column: &str) -> Value {
        let row = section.rows.iter().find(|row| row["table"] == table);
        let row = row.unwrap_or_else(|| panic!("{table} is not in {section:?}"));
        row[column].clone()
    }

    #[tokio::test]
    async fn counts_and_deletes() {
        let directory = ScratchDirectory::new();
        let cluster = Cluster::start(directory.path(), Durability::Test)
            .await
            .expect("the private cluster starts");
        cluster
            .ensure_database("purged")
            .await
            .expect("the cluster creates databases");
        let url = cluster.url("purged");
        let report = crate::migrations::migrate(&url, Project::of_this_program().root()).await;
        report.expect("the project's files are applied");
        let client = connect(&url).await.expect("the database answers");
        client
            .batch_execute(&format!(
                "INSERT INTO mail_quota (subject, window_started, sent)
                 SELECT n::text, now() - CASE WHEN n <= {LAPSED} THEN interval '3 hours' ELSE interval '0' END, 1
                   FROM generate_series(1, {LAPSED} + 1) n"
            ))
            .await
            .expect("rows can be written");
        for _ in 0..2 {
            let counted = due(&client).await.expect("it can be counted");
            assert_eq!(rows(&counted, "mail_quota", "lapsed_rows"), LAPSED);
            assert_eq!(rows(&counted, "mail_quota", "kept_hours"), 2);
            assert_eq!(rows(&counted, "idempotency_keys", "lapsed_rows"), 0);
        }
        // Somebody else is at it for a while.
        let other = connect(&url).await.expect("the database answers");
        other
            .batch_execute("BEGIN; SELECT pg_advisory_xact_lock(hashtext('retention'), 0)")
            .await
            .expect("nobody else has the lock");
        let (purged, ended) = futures::join!(purge(&client), async {
            sleep(2 * PAUSE).await;
            other.batch_execute("COMMIT").await
        });
        ended.expect("the transaction ends");
        let purged = purged.expect("it is done");
        assert_eq!(rows(&purged, "mail_quota", "deleted_rows"), LAPSED);
        assert_eq!(rows(&purged, "sessions", "deleted_rows"), 0);
        let again = purge(&client).await.expect("it is done");
        assert_eq!(rows(&again, "mail_quota", "deleted_rows"), 0);
        let left = client.query_one("SELECT count(*) FROM mail_quota", &[]);
        assert_eq!(left.await.expect("it can be read").get::<_, i64>(0), 1);
        drop((client, other));
        cluster.stop().await.expect("the private cluster stops");
    }
}
