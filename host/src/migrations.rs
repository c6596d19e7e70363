//! Brings a database to the schema of the files in `migrations/` and to the functions of the files
//! in `functions/<id>/sql/` and `shared/sql/`.
//!
//! Both happen in one transaction, so that a failure leaves nothing behind, and a release's tables
//! and functions appear together, with the timeouts of the role that migrates. Any number of
//! processes may call this at once: an advisory lock lets one do the work, and the others find it
//! done.
//!
//! The lock and all settings end with the transaction, and no statement is prepared. So this works
//! behind a pooler that lends a server connection for one transaction at a time.

mod difference;
mod functions;
mod release;
mod schema;
mod timeouts;

use std::path::Path;

use anyhow::{Context, Result};
use tokio_postgres::error::ErrorPosition;
use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryRow};

use crate::postgres_cluster::connect;
use functions::FunctionSet;
use schema::Migration;

pub use difference::{Difference, compare};
pub use functions::FunctionChanges;
pub use release::{OlderRelease, Release};
pub use schema::Applied;
pub use timeouts::role_timeouts;

/// Any number would do, if every version of Turnpike uses the same: the letters `turnpike`.
const ADVISORY_LOCK: i64 = i64::from_be_bytes(*b"turnpike");

/// How long to wait for another process that migrates: longer than any migration should hold
/// its locks, and short enough for an orchestrator's start-up probe.
const LOCK_TIMEOUT: &str = "120s";

/// What was done to a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The migrations that the database lacked.
    pub migrations: Vec<Applied>,
    /// What happened to the functions.
    pub functions: FunctionChanges,
}

/// Whether functions that are no longer in the set may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leftovers {
    /// They stay: instances of the release before may still call them.
    Keep,
    /// They are dropped.
    Prune,
}

/// Applies the migrations that the database at `url` lacks, oldest first, and then the functions
/// of the project at `root`, if they are others than those that were applied last. Takes nothing
/// away that instances of the release before may call.
///
/// # Errors
///
/// [`OlderRelease`] when a newer release was applied before. Else when a file contradicts what was
/// applied, when its SQL fails, or when the database cannot be reached. The message says what to
/// do. Nothing is kept then.
pub async fn migrate(url: &str, root: &Path) -> Result<Report> {
    run(url, root, Leftovers::Keep).await
}

/// Migrates, and drops the functions of earlier releases. Right once no instance of the release
/// before runs any more.
///
/// # Errors
///
/// Those of [`migrate`], and when something that is not Turnpike's depends on such a function.
pub async fn migrate_and_prune(url: &str, root: &Path) -> Result<Report> {
    run(url, root, Leftovers::Prune).await
}

async fn run(url: &str, root: &Path, leftovers: Leftovers) -> Result<Report> {
    let migrations = schema::read(&root.join("migrations"))?;
    let functions = FunctionSet::read(root)?;
    // The session ends with the client, and with it the transaction, whatever happens.
    let client = connect(url).await?;
    Transaction::begin(&client)
        .await?
        .apply(&migrations, &functions, leftovers)
        .await
}

/// A transaction that holds the lock. It is ended by [`Transaction::apply`], or with the session.
struct Transaction<'a> {
    client: &'a Client,
}

impl<'a> Transaction<'a> {
    async fn begin(client: &'a Client) -> Result<Self> {
        let transaction = Self { client };
        // A migration may take longer than the statements of a component, whose timeouts the role
        // has since it first migrated. Bodies are not checked, so that a function may come before
        // those that it calls.
        transaction
            .run(&format!(
                "BEGIN ISOLATION LEVEL READ COMMITTED;
                 SET LOCAL lock_timeout = '{LOCK_TIMEOUT}';
                 SET LOCAL statement_timeout = 0;
                 SET LOCAL idle_in_transaction_session_timeout = 0;
                 SET LOCAL client_min_messages = warning;
                 SET LOCAL check_function_bodies = off"
            ))
            .await
            .context("cannot begin the transaction that migrates")?;
        transaction
            .run(&format!("SELECT pg_advisory_xact_lock({ADVISORY_LOCK})"))
            .await
            .context(
                "another process has been migrating this database for too long: see pg_stat_activity",
            )?;
        Ok(transaction)
    }

    async fn apply(
        self,
        migrations: &[Migration],
        functions: &FunctionSet,
        leftovers: Leftovers,
    ) -> Result<Report> {
        let release = Release::of(migrations);
        let recorded = functions::recorded(&self).await?;
        if let Some(recorded) = &recorded {
            recorded.check_not_newer(&release, functions)?;
        }
        let applied = schema::apply(&self, migrations).await?;
        let changes = functions
            .apply(&self, recorded.as_ref(), &release, leftovers)
            .await?;
        self.set_timeouts().await?;
        self.run("COMMIT")
            .await
            .context("cannot commit what was migrated")?;
        Ok(Report {
            migrations: applied,
            functions: changes,
        })
    }

    /// Sets the timeouts of the sessions that the role begins from now on.
    async fn set_timeouts(&self) -> Result<()> {
        let rows = self.rows("SELECT current_database() AS name").await?;
        let row = rows.first().context("the database has no name")?;
        self.run(&role_timeouts(text(row, "name")?))
            .await
            .context("cannot set the timeouts of the role that migrates")
    }

    /// Runs statements of which nobody wants the rows.
    async fn run(&self, sql: &str) -> Result<(), tokio_postgres::Error> {
        self.client.batch_execute(sql).await
    }

    /// The rows of one statement, as texts.
    async fn rows(&self, sql: &str) -> Result<Vec<SimpleQueryRow>, tokio_postgres::Error> {
        let messages = self.client.simple_query(sql).await?;
        Ok(messages
            .into_iter()
            .filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => Some(row),
                _ => None,
            })
            .collect())
    }
}

/// A column of a row that must not be null.
fn text<'a>(row: &'a SimpleQueryRow, column: &str) -> Result<&'a str> {
    row.try_get(column)?
        .with_context(|| format!("the column {column} is null"))
}

/// A text as a literal of SQL.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The server's words, and the line of the file that they are about.
fn explain(error: &tokio_postgres::Error, sql: &str) -> String {
    let Some(problem) = error.as_db_error() else {
        return error.to_string();
    };
    let mut text = format!("{} ({})", problem.message(), problem.code().code());
    if let Some(ErrorPosition::Original(position)) = problem.position() {
        let before = sql.chars().take(usize::try_from(*position).unwrap_or(0));
        let line = 1 + before.filter(|c| *c == '\n').count();
        text += &format!(", line {line}");
    }
    for more in [problem.detail(), problem.hint(), problem.where_()]
        .into_iter()
        .flatten()
    {
        text += &format!("\n  {more}");
    }
    text
}

#[cfg(test)]
mod tests;
