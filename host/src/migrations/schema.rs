//! The files of `migrations/`: tables, types, constraints, indexes and trigger functions.
//!
//! Files are named `YYYYMMDDHHMMSS_purpose.sql` and only ever added. The table `schema_migrations`
//! records which were applied, and their checksums.

use std::fmt::{self, Display, Formatter};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::{Transaction, explain, literal, text};
use crate::postgres_cluster::hex;

/// One migration that was just applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// `YYYYMMDDHHMMSS`.
    pub version: i64,
    /// What follows the version in the file name.
    pub name: String,
    /// How long it took.
    pub duration: Duration,
}

#[derive(Debug)]
pub struct Migration {
    pub version: i64,
    name: String,
    path: PathBuf,
    sql: String,
    checksum: String,
}

impl Display for Migration {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}_{}", self.version, self.name)
    }
}

#[derive(Debug)]
pub(super) struct Recorded {
    version: i64,
    name: String,
    checksum: String,
}

/// Applies the migrations that the database lacks, oldest first, and returns them.
pub async fn apply(transaction: &Transaction<'_>, available: &[Migration]) -> Result<Vec<Applied>> {
    transaction
        .run(
            "CREATE TABLE IF NOT EXISTS schema_migrations (\
             version BIGINT PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, \
             applied_at TIMESTAMPTZ NOT NULL DEFAULT now())",
        )
        .await
        .context("cannot create the table schema_migrations")?;
    let recorded = recorded(transaction)
        .await
        .context("cannot read the table schema_migrations")?;
    let mut applied = Vec::new();
    for migration in pending(available, &recorded)? {
        let began = Instant::now();
        run(transaction, migration).await?;
        applied.push(Applied {
            version: migration.version,
            name: migration.name.clone(),
            duration: began.elapsed(),
        });
    }
    Ok(applied)
}

pub(super) async fn recorded(transaction: &Transaction<'_>) -> Result<Vec<Recorded>> {
    transaction
        .rows("SELECT version, name, checksum FROM schema_migrations ORDER BY version")
        .await?
        .iter()
        .map(|row| {
            Ok(Recorded {
                version: text(row, "version")?.parse()?,
                name: text(row, "name")?.to_owned(),
                checksum: text(row, "checksum")?.to_owned(),
            })
        })
        .collect()
}

async fn run(transaction: &Transaction<'_>, migration: &Migration) -> Result<()> {
    let file = migration.path.display();
    if let Err(error) = transaction.run(&migration.sql).await {
        bail!(
            "migration {file} failed, and nothing was kept: {}",
            explain(&error, &migration.sql)
        );
    }
    transaction
        .run(&format!(
            "INSERT INTO schema_migrations (version, name, checksum) VALUES ({}, {}, {})",
            migration.version,
            literal(&migration.name),
            literal(&migration.checksum)
        ))
        .await
        .with_context(|| format!("cannot record {file}"))
}

/// Decides what is to be done, or why nothing may be.
pub(super) fn pending<'a>(
    available: &'a [Migration],
    recorded: &[Recorded],
) -> Result<Vec<&'a Migration>> {
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

/// Reads the folder, in the order of versions.
pub fn read(directory: &Path) -> Result<Vec<Migration>> {
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
            "{} contains `{statement}`. Remove it: all migrations run in one transaction already",
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

pub(super) fn parse_file_name(name: &str) -> Option<(i64, String)> {
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
pub(super) fn transaction_statement(sql: &str) -> Option<&str> {
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
