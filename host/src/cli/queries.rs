//! `turnpike queries`: what the database does, who asks it to, and what to do about it.
//!
//! It reads and changes nothing. Each table is one statement over the catalog and the statistics
//! of Postgres, which count from `pg_stat_reset()` on, or from the last crash.

mod callers;
mod health;
mod hypothetical;
mod indexes;
mod plan;
mod pool;
mod slow;

use anyhow::{Context, Result, ensure};
use tokio_postgres::Client;

use super::Project;
use super::arguments::{QueriesArguments, Topic};
use super::database::Database;
use super::report::{self, Section};

pub use slow::INSTALL_STATISTICS;

/// A table, and the statement that fills it. `{limit}` in it is how many rows there may be.
struct Question {
    name: &'static str,
    about: &'static str,
    columns: &'static [&'static str],
    sql: &'static str,
}

impl Question {
    async fn ask(&self, client: &Client, limit: u32) -> Result<Section> {
        let sql = self.sql.replace("{limit}", &limit.to_string());
        let rows = report::rows(client, &sql).await;
        Ok(Section {
            name: self.name,
            about: self.about,
            columns: self.columns,
            rows: rows.with_context(|| format!("cannot ask for {}", self.name))?,
            note: None,
        })
    }
}

/// Shows what is asked for.
pub async fn run(project: &Project, arguments: QueriesArguments) -> Result<()> {
    let QueriesArguments {
        topic,
        name,
        database,
        limit,
        json,
    } = arguments;
    ensure!(
        name.is_none() || topic == Topic::Plan,
        "a name belongs to `queries plan` alone"
    );
    let database = Database::open(project, database).await?;
    let client = database.client().await?;
    prepare(&client).await?;
    let sections = match (topic, name) {
        (Topic::Plan, Some(name)) => plan::sections(&client, project.root(), &name).await,
        _ => sections(&client, project, topic, limit).await,
    };
    drop(client);
    database.close().await?;
    let sections = sections?;
    if json {
        let text = serde_json::to_string_pretty(&report::json(&sections))?;
        project.say(format_args!("{text}"));
    } else {
        for section in &sections {
            project.say(format_args!("{}", section.text()));
        }
    }
    Ok(())
}

/// Nothing is written, and nobody is kept waiting for long. Names without a schema are those of
/// Postgres itself.
async fn prepare(client: &Client) -> Result<()> {
    client
        .batch_execute(
            "SET default_transaction_read_only = on; SET statement_timeout = '10s';
             SET application_name = 'turnpike queries'; SET search_path = pg_catalog",
        )
        .await
        .context("cannot ask the database anything")
}

async fn sections(
    client: &Client,
    project: &Project,
    topic: Topic,
    limit: u32,
) -> Result<Vec<Section>> {
    let is_asked = |of: Topic| topic == of || topic == Topic::All;
    let mut sections = Vec::new();
    if is_asked(Topic::Slow) {
        sections.push(slow::section(client, project.root(), limit).await?);
    }
    let questions = [
        (Topic::Pool, &pool::QUESTIONS[..]),
        (Topic::Indexes, &indexes::QUESTIONS[..]),
        (Topic::Health, &health::QUESTIONS[..]),
    ];
    for (_, questions) in questions.iter().filter(|(of, _)| is_asked(*of)) {
        for question in *questions {
            let mut section = question.ask(client, limit).await?;
            if section.name == indexes::REFERENCES {
                let tried = hypothetical::try_references(client, &mut section.rows).await;
                let note = tried.context("cannot try the indexes that references lack")?;
                section.note = note.map(str::to_owned);
            }
            sections.push(section);
        }
    }
    Ok(sections)
}

#[cfg(test)]
mod tests;
