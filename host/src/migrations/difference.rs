//! How a database differs from the files of a release, without changing anything.

use std::path::Path;

use anyhow::Result;
use tokio_postgres::Client;

use super::functions::{self, FunctionSet};
use super::release::{OlderRelease, Release};
use super::{Transaction, schema};

/// One way in which the schema of a database is not that of the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// No migration was ever applied.
    NeverMigrated,
    /// Migrations that would be applied, as `version_name`.
    MigrationsLack(Vec<String>),
    /// The files contradict what was applied; the text says what to do.
    Contradiction(String),
    /// The functions of a newer release were applied.
    NewerRelease(OlderRelease),
    /// The functions that were applied last are of another set.
    OtherFunctions,
    /// Functions of earlier sets that are still there.
    Leftovers(Vec<String>),
}

/// Compares the database with the project at `root`. Runs in any session, one that only reads too.
///
/// # Errors
///
/// When the files or the database's records cannot be read.
pub async fn compare(client: &Client, root: &Path) -> Result<Vec<Difference>> {
    let migrations = schema::read(&root.join("migrations"))?;
    let set = FunctionSet::read(root)?;
    let transaction = Transaction { client };
    let row = client
        .query_one(
            "SELECT to_regclass('schema_migrations') IS NOT NULL, to_regclass('function_sets') IS NOT NULL",
            &[],
        )
        .await?;
    if !row.try_get::<_, bool>(0)? {
        return Ok(vec![Difference::NeverMigrated]);
    }
    let mut differences = Vec::new();
    let recorded = schema::recorded(&transaction).await?;
    match schema::pending(&migrations, &recorded) {
        Ok(pending) if pending.is_empty() => {}
        Ok(pending) => differences.push(Difference::MigrationsLack(
            pending.iter().map(|one| one.to_string()).collect(),
        )),
        Err(error) => differences.push(Difference::Contradiction(format!("{error:#}"))),
    }
    let recorded = if row.try_get(1)? {
        functions::newest(&transaction).await?
    } else {
        None
    };
    let Some(recorded) = recorded else {
        differences.push(Difference::OtherFunctions);
        return Ok(differences);
    };
    match recorded.check_not_newer(&Release::of(&migrations), &set) {
        Err(newer) => differences.push(Difference::NewerRelease(newer)),
        Ok(()) if !recorded.is(&set) => differences.push(Difference::OtherFunctions),
        Ok(()) => {}
    }
    let leftovers = recorded.leftovers(&transaction).await?;
    if !leftovers.is_empty() {
        differences.push(Difference::Leftovers(leftovers));
    }
    Ok(differences)
}
