//! `turnpike doctor`: what is wrong with a deployment, why it matters, and what to type.
//!
//! It reads and changes nothing. Whatever does not answer is a finding too, and is waited for so
//! long and no longer.

mod application;
mod configuration;
mod server;

use std::fmt::{self, Display, Formatter};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use tokio::time::timeout;
use tokio_postgres::Client;

use super::Project;
use super::arguments::DoctorArguments;
use super::database::{CONNECT_TIMEOUT, Database};
use crate::imports::key_value::store::{KeyValueOptions, KeyValueStore};

/// How long all questions to a database may take together. Each is answered within milliseconds by
/// one that is well.
const DATABASE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the cache may take. A component waits for 50 ms.
const CACHE_TIMEOUT: Duration = Duration::from_secs(2);

/// A key that no component uses.
const CACHE_KEY: &str = "doctor";

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Something does not work, is not safe, or can lose data.
    Wrong,
    /// Something works and could be better.
    Advice,
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How much it weighs.
    pub level: Level,
    /// What it is about: configuration, database, clock, settings, migrations, cache, mail, keys.
    pub area: &'static str,
    /// What was found.
    pub problem: String,
    /// Why it matters.
    pub reason: String,
    /// What to type.
    pub remedy: String,
}

impl Finding {
    /// Something that does not work, is not safe, or can lose data.
    fn wrong(
        area: &'static str,
        problem: impl Into<String>,
        reason: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            level: Level::Wrong,
            area,
            problem: problem.into(),
            reason: reason.into(),
            remedy: remedy.into(),
        }
    }

    /// Something that works and could be better.
    fn advice(
        area: &'static str,
        problem: impl Into<String>,
        reason: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            level: Level::Advice,
            ..Self::wrong(area, problem, reason, remedy)
        }
    }
}

impl Display for Finding {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Wrong => "wrong ",
            Level::Advice => "advice",
        };
        writeln!(out, "{level}  {:<14}{}", self.area, self.problem)?;
        for (label, text) in [("why", &self.reason), ("do", &self.remedy)] {
            for (number, line) in text.lines().enumerate() {
                let label = if number == 0 { label } else { "" };
                writeln!(out, "        {label:<4}{line}")?;
            }
        }
        Ok(())
    }
}

/// Whose deployment it is, which decides what may be as it is in the repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// A developer's, with the private cluster.
    Development,
    /// Anything else.
    Production,
}

/// Looks at everything, and exits with 1 when something is wrong.
pub async fn run(project: &Project, arguments: DoctorArguments) -> Result<ExitCode> {
    let environment = |name: &str| std::env::var(name).ok();
    let names_database = arguments
        .database
        .database_url
        .iter()
        .any(|url| !url.is_empty());
    let purpose = if names_database {
        Purpose::Production
    } else {
        Purpose::Development
    };
    let mut findings = configuration::check(project, purpose, environment);
    match Database::open(project, arguments.database).await {
        Ok(database) => {
            findings.extend(check_database(project, &database, purpose).await);
            database.close().await?;
        }
        Err(error) => findings.push(unreachable_database(&error)),
    }
    findings.extend(check_cache(arguments.redis_url).await);
    say(project, purpose, &findings, arguments.json)?;
    Ok(exit_code(&findings))
}

/// 1 when something is wrong, for schedulers and CI. Advice alone is 0.
fn exit_code(findings: &[Finding]) -> ExitCode {
    let is_wrong = findings.iter().any(|finding| finding.level == Level::Wrong);
    ExitCode::from(u8::from(is_wrong))
}

fn say(project: &Project, purpose: Purpose, findings: &[Finding], as_json: bool) -> Result<()> {
    if project.is_quiet() {
        // What is wrong is said even when little is to be said.
        for finding in findings.iter().filter(|one| one.level == Level::Wrong) {
            eprintln!("{finding}");
        }
    }
    if as_json {
        let document = serde_json::json!({ "findings": findings });
        let text = serde_json::to_string_pretty(&document).context("cannot write JSON")?;
        project.say(format_args!("{text}"));
        return Ok(());
    }
    for finding in findings {
        project.say(format_args!("{finding}"));
    }
    let wrong = findings
        .iter()
        .filter(|finding| finding.level == Level::Wrong)
        .count();
    project.say(format_args!(
        "{wrong} wrong, {} to improve",
        findings.len() - wrong
    ));
    if purpose == Purpose::Development {
        project.say(format_args!(
            "the private database is for development: secrets, mail and the public address are \
             looked at with --database-url alone"
        ));
    }
    Ok(())
}

/// Asks the database, and says so when it does not answer.
async fn check_database(project: &Project, database: &Database, purpose: Purpose) -> Vec<Finding> {
    let client = match database.client().await {
        Ok(client) => client,
        Err(error) => return vec![unreachable_database(&error)],
    };
    let mut findings = Vec::new();
    let asked = async {
        prepare(&client).await?;
        findings.extend(server::check(&client, project, purpose).await?);
        application::check(&client, project, &mut findings).await
    };
    match timeout(DATABASE_TIMEOUT, asked).await {
        Ok(Ok(())) => {}
        // Whoever is connected and gone is as unreachable as whoever was never connected.
        Ok(Err(error)) if client.is_closed() => findings.push(unreachable_database(&error)),
        Ok(Err(error)) => findings.push(Finding::wrong(
            "database",
            format!("not all of it could be looked at: {error:#}"),
            "what was not looked at may be wrong",
            "correct what the error names, and run turnpike doctor again",
        )),
        Err(_) => findings.push(unreachable_database(&anyhow::anyhow!(
            "it takes connections, and did not answer for {} s",
            DATABASE_TIMEOUT.as_secs()
        ))),
    }
    findings
}

/// Nothing is written. The role's timeouts stay as they are, because they are looked at.
async fn prepare(client: &Client) -> Result<()> {
    client
        .batch_execute(
            "SET default_transaction_read_only = on; SET application_name = 'turnpike doctor'",
        )
        .await
        .context("cannot ask the database anything")
}

fn unreachable_database(error: &anyhow::Error) -> Finding {
    Finding::wrong(
        "database",
        format!("the database does not answer: {error:#}"),
        "every request but those that the cache answers is a 503",
        format!(
            "start Postgres, or correct --database-url; an attempt was given {} s",
            CONNECT_TIMEOUT.as_secs()
        ),
    )
}

/// Asks a Redis for a key. The other stores are within a process.
async fn check_cache(redis_url: Option<String>) -> Option<Finding> {
    let url = redis_url.filter(|url| !url.is_empty())?;
    let asked = async {
        let store = KeyValueStore::open(&KeyValueOptions::Redis { url })?;
        let asked = timeout(CACHE_TIMEOUT, store.get(CACHE_KEY)).await;
        match asked {
            Ok(answer) => answer.map(drop),
            Err(_) => bail!("it did not answer for {} s", CACHE_TIMEOUT.as_secs()),
        }
    };
    let error = asked.await.err()?;
    Some(Finding::wrong(
        "cache",
        format!("the key-value store does not answer: {error:#}"),
        "every read goes to Postgres, and a change reaches the copies in other places late",
        "start Redis, or correct --redis-url (REDIS_URL)",
    ))
}

#[cfg(test)]
mod tests;
