//! Brings a database to the schema that the files in `migrations/` describe.
//!
//! Files are named `YYYYMMDDHHMMSS_purpose.sql` and only ever added. Each runs in a transaction
//! of its own, together with the row in `schema_migrations` that records it, so a failure leaves
//! nothing behind. Any number of processes may call this at once: an advisory lock lets one do
//! the work and the others find it done.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};
use tokio::time::Instant;
use tokio_postgres::Client;

use crate::postgres_cluster::{connect, hex};

/// Any number would do, if every version of Turnpike uses the same: the letters `turnpike`.
const ADVISORY_LOCK: i64 = i64::from_be_bytes(*b"turnpike");

/// How long to wait for another process that migrates: longer than any migration should hold
/// its locks, and short enough for an orchestrator's start-up probe.
const LOCK_TIMEOUT: &str = "120s";

/// One migration that was just applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// `YYYYMMDDHHMMSS`.
    pub version: i64,
    /// What follows the version in the file name.
    pub name: String,
    /// How long it took, its commit included.
    pub duration: Duration,
}

#[derive(Debug)]
struct Migration {
    version: i64,
    name: String,
    path: PathBuf,
    sql: String,
    checksum: String,
}

#[derive(Debug)]
struct Recorded {
    version: i64,
    name: String,
    checksum: String,
}

/// Applies the migrations that the database at `url` lacks, oldest first, and returns them.
///
/// # Errors
///
/// When the folder contradicts what was applied before (a file was edited, is missing, or is
/// older than the newest applied one), when a file's SQL fails, or when the database cannot be
/// reached. The message says what to do. Migrations before the failing one stay applied.
pub async fn migrate(url: &str, directory: &Path) -> Result<Vec<Applied>> {
    let available = read_directory(directory)?;
    // The session ends with the client, and with it the advisory lock, whatever happens.
    let mut client = connect(url).await?;
    apply(&mut client, &available).await
}

async fn apply(client: &mut Client, available: &[Migration]) -> Result<Vec<Applied>> {
    client
        .batch_execute(&format!(
            "SET lock_timeout = '{LOCK_TIMEOUT}'; SET client_min_messages = warning"
        ))
        .await
        .context("cannot prepare the session that migrates")?;
    client
        .execute("SELECT pg_advisory_lock($1)", &[&ADVISORY_LOCK])
        .await
        .context(
            "another process has been migrating this database for too long: see pg_stat_activity",
        )?;
    client
        .batch_execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations (\
             version BIGINT PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, \
             applied_at TIMESTAMPTZ NOT NULL DEFAULT now())",
        )
        .await
        .context("cannot create the table schema_migrations")?;
    let recorded = client
        .query(
            "SELECT version, name, checksum FROM schema_migrations ORDER BY version",
            &[],
        )
        .await
        .context("cannot read the table schema_migrations")?
        .iter()
        .map(|row| {
            Ok(Recorded {
                version: row.try_get(0)?,
                name: row.try_get(1)?,
                checksum: row.try_get(2)?,
            })
        })
        .collect::<Result<Vec<_>, tokio_postgres::Error>>()
        .context("cannot read the table schema_migrations")?;

    let mut applied = Vec::new();
    for migration in pending(available, &recorded)? {
        let began = Instant::now();
        run(client, migration).await?;
        applied.push(Applied {
            version: migration.version,
            name: migration.name.clone(),
            duration: began.elapsed(),
        });
    }
    client
        .batch_execute(&format!("SELECT pg_advisory_unlock({ADVISORY_LOCK}); RESET lock_timeout; RESET client_min_messages"))
        .await
        .context("cannot release the lock of the migrations")?;
    Ok(applied)
}

async fn run(client: &mut Client, migration: &Migration) -> Result<()> {
    let file = migration.path.display();
    // Dropping the transaction without a commit rolls it back.
    let transaction = client
        .transaction()
        .await
        .with_context(|| format!("cannot begin {file}"))?;
    if let Err(error) = transaction.batch_execute(&migration.sql).await {
        bail!(
            "migration {file} failed, and nothing of it was kept: {}",
            explain(&error, &migration.sql)
        );
    }
    transaction
        .execute(
            "INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)",
            &[&migration.version, &migration.name, &migration.checksum],
        )
        .await
        .with_context(|| format!("cannot record {file}"))?;
    transaction
        .commit()
        .await
        .with_context(|| format!("cannot commit {file}"))
}

/// Decides what is to be done, or why nothing may be.
fn pending<'a>(available: &'a [Migration], recorded: &[Recorded]) -> Result<Vec<&'a Migration>> {
    let newest_file = available.last().map_or(0, |migration| migration.version);
    for row in recorded {
        match available
            .iter()
            .find(|migration| migration.version == row.version)
        {
            Some(migration) => ensure!(
                migration.checksum == row.checksum,
                "migration {} was edited after it was applied. Restore the file as it was, and put the change in a new migration",
                migration.path.display()
            ),
            // A database ahead of every file belongs to a newer release that runs beside us.
            None => ensure!(
                row.version > newest_file,
                "migration {}_{}.sql was applied to this database and is missing from the folder, which holds newer ones. Restore the file",
                row.version,
                row.name
            ),
        }
    }
    let newest_row = recorded.last().map_or(0, |row| row.version);
    available
        .iter()
        .filter(|migration| !recorded.iter().any(|row| row.version == migration.version))
        .map(|migration| {
            ensure!(
                migration.version > newest_row,
                "migration {} is older than {newest_row}, which was already applied. Rename it to a later time, so that every database applies the files in one order",
                migration.path.display()
            );
            Ok(migration)
        })
        .collect()
}

fn read_directory(directory: &Path) -> Result<Vec<Migration>> {
    let entries = std::fs::read_dir(directory)
        .with_context(|| format!("cannot read the migrations in {}", directory.display()))?;
    let mut found: Vec<Migration> = Vec::new();
    for entry in entries {
        let path = entry
            .with_context(|| format!("cannot read the migrations in {}", directory.display()))?
            .path();
        if path.extension().is_some_and(|extension| extension == "sql") {
            found.push(read_file(path)?);
        }
    }
    found.sort_by(|left, right| left.path.cmp(&right.path));
    for pair in found.windows(2) {
        ensure!(
            pair[0].version != pair[1].version,
            "migrations {} and {} have the same version. Rename one",
            pair[0].path.display(),
            pair[1].path.display()
        );
    }
    Ok(found)
}

fn read_file(path: PathBuf) -> Result<Migration> {
    let (version, name) = path
        .file_name()
        .and_then(|name| parse_file_name(name.to_str()?))
        .with_context(|| format!("{} is no migration: name it YYYYMMDDHHMMSS_purpose.sql, the purpose in a-z, 0-9 and _", path.display()))?;
    let sql = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?
        // The same file must have the same checksum however git checked it out.
        .replace("\r\n", "\n");
    if let Some(statement) = transaction_statement(&sql) {
        bail!(
            "{} contains `{statement}`. Remove it: every migration runs in one transaction already",
            path.display()
        );
    }
    let checksum = hex(&Sha256::digest(sql.as_bytes()));
    Ok(Migration {
        version,
        name,
        path,
        sql,
        checksum,
    })
}

fn parse_file_name(name: &str) -> Option<(i64, String)> {
    let (version, purpose) = name.strip_suffix(".sql")?.split_once('_')?;
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let fits = version.len() == 14
        && version.bytes().all(|c| c.is_ascii_digit())
        && !purpose.is_empty()
        && purpose.chars().all(plain);
    if !fits {
        return None;
    }
    Some((version.parse().ok()?, purpose.to_owned()))
}

/// A line that would end our transaction early. Only lines of their own are looked for: inside a
/// PL/pgSQL body `BEGIN` has no semicolon.
fn transaction_statement(sql: &str) -> Option<&str> {
    const ENDINGS: [&str; 5] = [
        "begin;",
        "start transaction;",
        "commit;",
        "rollback;",
        "end transaction;",
    ];
    sql.lines().map(str::trim).find(|line| {
        ENDINGS
            .iter()
            .any(|ending| line.eq_ignore_ascii_case(ending))
    })
}

/// The server's words, and the line of the file that they are about.
fn explain(error: &tokio_postgres::Error, sql: &str) -> String {
    let Some(problem) = error.as_db_error() else {
        return error.to_string();
    };
    let mut text = format!("{} ({})", problem.message(), problem.code().code());
    if let Some(tokio_postgres::error::ErrorPosition::Original(position)) = problem.position() {
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
