//! The SQL functions: one file each, applied as one set.
//!
//! A function stands in `functions/<id>/sql/<name>.sql` beside the component that uses it, or under
//! `shared/sql/`. The set is applied when its digest differs from the one that was applied last.
//!
//! While a release is rolled out, instances of two releases call the database. So a set adds and
//! replaces, and takes nothing away: a function that left the tree, or an older signature of one
//! that changed, stays until it is pruned. The table `function_sets` has the sets that were
//! applied, and `installed_functions` the last set that each function was in.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};
use tokio_postgres::error::SqlState;

use super::release::{OlderRelease, Release};
use super::{Leftovers, Transaction, explain, literal, text};
use crate::postgres_cluster::hex;

/// The codes with which Postgres refuses to replace a function by one that it takes for another.
const REFUSED_REPLACEMENTS: [SqlState; 2] = [
    SqlState::INVALID_FUNCTION_DEFINITION,
    SqlState::WRONG_OBJECT_TYPE,
];

/// What to do about a function that cannot take the place of another, or stand beside it.
const ADVICE: &str = "Give the new one another name, or another number of arguments without \
                      defaults, so that both can stand until the rollout is over";

/// What happened to the functions of a database. A function is named with its argument types.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FunctionChanges {
    /// How many there are in the set, if it was applied.
    pub applied: Option<usize>,
    /// Those of earlier sets that are still there.
    pub leftovers: Vec<String>,
    /// Those of earlier sets that were dropped.
    pub pruned: Vec<String>,
}

/// The functions of a project, by name.
#[derive(Debug)]
pub struct FunctionSet {
    functions: BTreeMap<String, Function>,
    digest: String,
}

#[derive(Debug)]
struct Function {
    path: PathBuf,
    sql: String,
}

/// The set that was applied last.
#[derive(Debug)]
pub struct Recorded {
    number: i32,
    digest: String,
    release: Release,
}

/// Reads which set was applied last; none for a database without functions.
pub async fn recorded(transaction: &Transaction<'_>) -> Result<Option<Recorded>> {
    transaction
        .run(
            "CREATE TABLE IF NOT EXISTS function_sets (
                 number         integer PRIMARY KEY,
                 digest         text NOT NULL,
                 version        text NOT NULL,
                 schema_version bigint NOT NULL,
                 applied_at     timestamptz NOT NULL DEFAULT now()
             );
             CREATE TABLE IF NOT EXISTS installed_functions (
                 name       text NOT NULL,
                 arguments  text NOT NULL,
                 set_number integer NOT NULL REFERENCES function_sets (number),
                 PRIMARY KEY (name, arguments)
             )",
        )
        .await
        .context("cannot create the tables function_sets and installed_functions")?;
    newest(transaction).await
}

/// The set that was applied last, where the tables are there.
pub async fn newest(transaction: &Transaction<'_>) -> Result<Option<Recorded>> {
    let rows = transaction
        .rows(
            "SELECT number, digest, version, schema_version
               FROM function_sets ORDER BY number DESC LIMIT 1",
        )
        .await
        .context("cannot read the table function_sets")?;
    rows.first()
        .map(|row| {
            anyhow::Ok(Recorded {
                number: text(row, "number")?.parse()?,
                digest: text(row, "digest")?.to_owned(),
                release: Release::parse(text(row, "version")?, text(row, "schema_version")?)?,
            })
        })
        .transpose()
        .context("the table function_sets has a row that cannot be read")
}

impl Recorded {
    /// Whether it is this very set.
    pub fn is(&self, functions: &FunctionSet) -> bool {
        self.digest == functions.digest
    }

    /// The functions of earlier sets that are still there.
    pub async fn leftovers(&self, transaction: &Transaction<'_>) -> Result<Vec<String>> {
        leftovers_of(transaction, self.number).await
    }

    /// Refuses an older release, unless it has the very functions that are there.
    pub fn check_not_newer(
        &self,
        own: &Release,
        functions: &FunctionSet,
    ) -> Result<(), OlderRelease> {
        if *own < self.release && functions.digest != self.digest {
            return Err(OlderRelease {
                own: own.clone(),
                applied: self.release.clone(),
            });
        }
        Ok(())
    }
}

impl FunctionSet {
    /// Reads the files of the project at `root`.
    pub fn read(root: &Path) -> Result<Self> {
        let mut paths = Vec::new();
        for component in entries(&root.join("functions"))? {
            collect(&component.join("sql"), &mut paths)?;
        }
        collect(&root.join("shared").join("sql"), &mut paths)?;
        // Without this a program that finds its files in part would make leftovers of all others.
        ensure!(
            !paths.is_empty(),
            "there are no SQL functions in {0}/functions/*/sql and {0}/shared/sql: they belong beside spin.toml",
            root.display()
        );

        let mut functions: BTreeMap<String, Function> = BTreeMap::new();
        for path in paths {
            let (name, function) = read_file(path)?;
            if let Some(other) = functions.get(&name) {
                bail!(
                    "the SQL function {name} stands in {} and in {}. Remove one",
                    other.path.display(),
                    function.path.display()
                );
            }
            functions.insert(name, function);
        }
        let mut hash = Sha256::new();
        for (name, function) in &functions {
            for part in [name, &function.sql] {
                hash.update(part.as_bytes());
                hash.update([0]);
            }
        }
        Ok(Self {
            functions,
            digest: hex(&hash.finalize()),
        })
    }

    /// Applies the set if it is not the one that was applied last, and prunes if that is asked for.
    pub async fn apply(
        &self,
        transaction: &Transaction<'_>,
        recorded: Option<&Recorded>,
        release: &Release,
        leftovers: Leftovers,
    ) -> Result<FunctionChanges> {
        let mut changes = FunctionChanges::default();
        let is_applied = recorded.is_some_and(|recorded| recorded.digest == self.digest);
        let mut number = recorded.map_or(0, |recorded| recorded.number);
        if !is_applied {
            number += 1;
            self.record(transaction, number, release).await?;
            self.install(transaction, number).await?;
            changes.applied = Some(self.functions.len());
        } else if recorded.is_some_and(|recorded| recorded.release < *release) {
            transaction
                .run(&format!(
                    "UPDATE function_sets SET version = {}, schema_version = {} WHERE number = {number}",
                    literal(&release.version()),
                    release.schema()
                ))
                .await
                .context("cannot record the release of the functions")?;
        }
        let left = leftovers_of(transaction, number).await?;
        match leftovers {
            Leftovers::Keep => changes.leftovers = left,
            Leftovers::Prune => {
                drop_leftovers(transaction, number, &left).await?;
                changes.pruned = left;
            }
        }
        if changes.applied.is_some() {
            check_calls_have_one_meaning(transaction).await?;
        }
        Ok(changes)
    }

    async fn record(
        &self,
        transaction: &Transaction<'_>,
        number: i32,
        release: &Release,
    ) -> Result<()> {
        transaction
            .run(&format!(
                "INSERT INTO function_sets (number, digest, version, schema_version)
                 VALUES ({number}, {}, {}, {})",
                literal(&self.digest),
                literal(&release.version()),
                release.schema()
            ))
            .await
            .context("cannot record the set of functions")
    }

    /// Creates and replaces all functions, and notes what they are.
    async fn install(&self, transaction: &Transaction<'_>, number: i32) -> Result<()> {
        let before = made_here(transaction).await?;
        self.create(transaction).await?;
        let mut made: BTreeMap<String, String> = BTreeMap::new();
        for row in made_here(transaction).await? {
            if before.contains(&row) {
                continue;
            }
            let function = self.functions.get(&row.name).with_context(|| {
                format!(
                    "a file made {}({}), which is not its own function. Give each function its own file",
                    row.name, row.arguments
                )
            })?;
            if made.insert(row.name.clone(), row.arguments).is_some() {
                bail!(
                    "{} makes two functions. Give each function its own file",
                    function.path.display()
                );
            }
        }
        let mut values = Vec::new();
        for (name, function) in &self.functions {
            let arguments = made
                .get(name)
                .with_context(|| format!("{} did not make {name}", function.path.display()))?;
            values.push(format!(
                "({}, {}, {number})",
                literal(name),
                literal(arguments)
            ));
        }
        transaction
            .run(&format!(
                "INSERT INTO installed_functions (name, arguments, set_number) VALUES {}
                 ON CONFLICT (name, arguments) DO UPDATE SET set_number = excluded.set_number",
                values.join(", ")
            ))
            .await
            .context("cannot record the functions of the set")
    }

    async fn create(&self, transaction: &Transaction<'_>) -> Result<()> {
        let installed = transaction
            .rows("SELECT DISTINCT name FROM installed_functions")
            .await
            .context("cannot read the table installed_functions")?;
        for name in self.in_order() {
            let Function { path, sql } = &self.functions[name];
            let Err(error) = transaction.run(sql).await else {
                continue;
            };
            let is_installed = installed.iter().any(|row| row.get("name") == Some(name));
            let advice = match error.code() {
                Some(code) if *code == SqlState::AMBIGUOUS_FUNCTION => {
                    format!(
                        "\n  A function that the release before may still call stands beside the new one. {ADVICE}"
                    )
                }
                Some(code) if is_installed && REFUSED_REPLACEMENTS.contains(code) => {
                    format!(
                        "\n  A function that the release before may still call cannot change what it returns, or what its arguments are called. {ADVICE}"
                    )
                }
                _ => String::new(),
            };
            bail!(
                "the SQL function {} failed, and nothing was kept: {}{advice}",
                path.display(),
                explain(&error, sql)
            );
        }
        Ok(())
    }

    /// The names in an order in which each function comes after those that must exist before it.
    fn in_order(&self) -> Vec<&str> {
        let mut order = Vec::with_capacity(self.functions.len());
        let mut seen = BTreeSet::new();
        for name in self.functions.keys() {
            self.visit(name, &mut seen, &mut order);
        }
        order
    }

    fn visit<'a>(&'a self, name: &'a str, seen: &mut BTreeSet<&'a str>, order: &mut Vec<&'a str>) {
        if !seen.insert(name) {
            return;
        }
        let called = calls(&bound_at_creation(&self.functions[name].sql));
        for (needed, _) in self
            .functions
            .iter()
            .filter(|(key, _)| called.contains(*key))
        {
            self.visit(needed, seen, order);
        }
        order.push(name);
    }
}

/// Drops what is left of earlier sets, all at once, because one may need another.
async fn drop_leftovers(
    transaction: &Transaction<'_>,
    number: i32,
    leftovers: &[String],
) -> Result<()> {
    if leftovers.is_empty() {
        return Ok(());
    }
    let list = leftovers.join(", ");
    let sql = format!("DROP ROUTINE {list}");
    if let Err(error) = transaction.run(&sql).await {
        bail!(
            "cannot drop {list}, and nothing was kept: {}",
            explain(&error, &sql)
        );
    }
    transaction
        .run(&format!(
            "DELETE FROM installed_functions WHERE set_number < {number}"
        ))
        .await
        .context("cannot record what was dropped")
}

/// A function that this transaction made: another row each time that it replaces it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct MadeFunction {
    name: String,
    arguments: String,
    place: String,
}

async fn made_here(transaction: &Transaction<'_>) -> Result<BTreeSet<MadeFunction>> {
    transaction
        .rows(
            "SELECT proname AS name, oidvectortypes(proargtypes) AS arguments, ctid AS place
               FROM pg_proc
              WHERE pronamespace = current_schema()::regnamespace
                AND xmin = pg_current_xact_id()::xid",
        )
        .await
        .context("cannot read the catalog of functions")?
        .iter()
        .map(|row| {
            Ok(MadeFunction {
                name: text(row, "name")?.to_owned(),
                arguments: text(row, "arguments")?.to_owned(),
                place: text(row, "place")?.to_owned(),
            })
        })
        .collect()
}

/// The functions that were in an earlier set and not in this one, and are still there.
async fn leftovers_of(transaction: &Transaction<'_>, number: i32) -> Result<Vec<String>> {
    transaction
        .rows(&format!(
            "SELECT format('%I(%s)', i.name, i.arguments) AS signature
               FROM installed_functions i
               JOIN pg_proc p ON p.proname = i.name AND oidvectortypes(p.proargtypes) = i.arguments
              WHERE i.set_number < {number} AND p.pronamespace = current_schema()::regnamespace
              ORDER BY 1"
        ))
        .await
        .context("cannot read what is left of earlier sets")?
        .iter()
        .map(|row| Ok(text(row, "signature")?.to_owned()))
        .collect()
}

/// A call that two functions of one name can take, by the number of its arguments, is ambiguous.
/// The types do not help, because components send parameters without them.
async fn check_calls_have_one_meaning(transaction: &Transaction<'_>) -> Result<()> {
    let rows = transaction
        .rows(
            "WITH installed AS (
                 SELECT i.name, i.arguments, i.set_number,
                        p.pronargs - p.pronargdefaults AS fewest, p.pronargs AS most
                   FROM installed_functions i
                   JOIN pg_proc p ON p.proname = i.name AND oidvectortypes(p.proargtypes) = i.arguments
                  WHERE p.pronamespace = current_schema()::regnamespace
             )
             SELECT format('%s(%s)', old.name, old.arguments) AS old,
                    format('%s(%s)', new.name, new.arguments) AS new,
                    least(old.most, new.most) AS count
               FROM installed old
               JOIN installed new ON new.name = old.name AND new.set_number > old.set_number
              WHERE greatest(old.fewest, new.fewest) <= least(old.most, new.most)
              ORDER BY 1, 2",
        )
        .await
        .context("cannot compare the functions of both releases")?;
    if let Some(row) = rows.first() {
        bail!(
            "{} cannot stand beside {}, which the release before may still call: a call with {} \
             arguments could mean both. {ADVICE}",
            text(row, "new")?,
            text(row, "old")?,
            text(row, "count")?
        );
    }
    Ok(())
}

fn read_file(path: PathBuf) -> Result<(String, Function)> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let name = path
        .file_stem()
        .and_then(|stem| stem.to_str())
        .filter(|stem| {
            stem.starts_with(|c: char| c.is_ascii_lowercase()) && stem.chars().all(plain)
        })
        .with_context(|| {
            format!(
                "{} is no function: name it after its function, in a-z, 0-9 and _",
                path.display()
            )
        })?
        .to_owned();
    let sql = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?
        // The same file must have the same digest however git checked it out.
        .replace("\r\n", "\n");
    let is_own = ["FUNCTION", "PROCEDURE"].iter().any(|kind| {
        without_comments(&sql)
            .trim_start()
            .strip_prefix(&format!("CREATE OR REPLACE {kind} {name}"))
            .is_some_and(|rest| rest.starts_with('('))
    });
    ensure!(
        is_own,
        "{} must begin with CREATE OR REPLACE FUNCTION {name}(, or PROCEDURE, below its comment",
        path.display()
    );
    Ok((name, Function { path, sql }))
}

/// The SQL files in a folder and those below it. A folder that does not exist has none.
fn collect(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    for path in entries(folder)? {
        if path.is_dir() {
            collect(&path, paths)?;
        } else if path.extension().is_some_and(|extension| extension == "sql") {
            paths.push(path);
        }
    }
    Ok(())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let read = || {
        let mut paths = std::fs::read_dir(folder)?
            .map(|entry| Ok(entry?.path()))
            .collect::<std::io::Result<Vec<_>>>()?;
        paths.sort();
        Ok::<_, std::io::Error>(paths)
    };
    read().with_context(|| format!("cannot read the SQL functions in {}", folder.display()))
}

/// The part of a definition in which every function that is called must exist already: all of it
/// for a body of standard SQL, and what precedes a body that is a text.
fn bound_at_creation(sql: &str) -> String {
    let mut sql = without_comments(sql);
    if let Some(body) = sql.find("AS $") {
        sql.truncate(body);
    }
    sql
}

fn without_comments(sql: &str) -> String {
    sql.lines()
        .map(|line| line.split_once("--").map_or(line, |(code, _)| code))
        .collect::<Vec<_>>()
        .join("\n")
}

/// The names that an opening parenthesis follows.
fn calls(sql: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (position, _) in sql.match_indices('(') {
        let before = sql[..position].trim_end();
        let name = before
            .rfind(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .map_or(before, |end| {
                let step = before[end..].chars().next().map_or(1, char::len_utf8);
                &before[end + step..]
            });
        if !name.is_empty() {
            found.insert(name.to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests;
