//! The statements that took the most time, and who sends them.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio_postgres::Client;

use super::callers::Callers;
use crate::cli::report::{self, Section};

/// What to type where the extension is missing.
pub const INSTALL_STATISTICS: &str = "\
ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements';   -- with what is there already
-- restart Postgres, then in Turnpike's database:
CREATE EXTENSION pg_stat_statements;";

/// What a table shows of a statement.
const SHOWN_CHARS: usize = 90;

pub async fn section(client: &Client, root: &Path, limit: u32) -> Result<Section> {
    let mut section = Section {
        name: "slow_statements",
        about: "those that took the most time in all, and who sends them",
        columns: &[
            "callers",
            "calls",
            "mean_ms",
            "max_ms",
            "total_ms",
            "time_percent",
            "rows_each",
            "cache_percent",
            "begins",
        ],
        rows: Vec::new(),
        note: None,
    };
    let Some(schema) = extension_schema(client).await? else {
        section.note = Some(format!(
            "the extension pg_stat_statements is missing:\n  {}",
            INSTALL_STATISTICS.replace('\n', "\n  ")
        ));
        return Ok(section);
    };
    let sql = format!(
        "SELECT s.query AS statement, s.calls, round(s.mean_exec_time::numeric, 2) AS mean_ms,
                round(s.max_exec_time::numeric, 2) AS max_ms, round(s.total_exec_time::numeric) AS total_ms,
                round((100 * s.total_exec_time / nullif(sum(s.total_exec_time) OVER (), 0))::numeric, 1) AS time_percent,
                round(s.rows::numeric / s.calls, 1) AS rows_each,
                round(100.0 * s.shared_blks_hit / nullif(s.shared_blks_hit + s.shared_blks_read, 0), 1) AS cache_percent
           FROM {schema}.pg_stat_statements s
          WHERE s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND s.toplevel AND s.calls > 0
            -- Others, such as ALTER ROLE, keep their constants, which may be passwords.
            AND s.query ~* '^\\s*(select|with|insert|update|delete|merge|call)\\y'
          ORDER BY s.total_exec_time DESC
          LIMIT {limit}"
    );
    // Statements are worth seeing where the sources are not at hand.
    let callers = match Callers::read(root) {
        Ok(callers) => Some(callers),
        Err(error) => {
            section.note = Some(format!("no callers are known: {error:#}"));
            None
        }
    };
    let rows = report::rows(client, &sql).await;
    // It can be created and not loaded; Postgres' words then say which setting is missing.
    let mut rows =
        rows.with_context(|| format!("cannot read pg_stat_statements:\n{INSTALL_STATISTICS}"))?;
    for row in &mut rows {
        let statement = row["statement"].as_str().unwrap_or_default().to_owned();
        row["callers"] = json!(
            callers
                .as_ref()
                .map(|callers| callers.of(&statement))
                .unwrap_or_default()
        );
        row["begins"] = Value::String(one_line(&statement));
    }
    section.rows = rows;
    Ok(section)
}

async fn extension_schema(client: &Client) -> Result<Option<String>> {
    let row = client
        .query_opt(
            "SELECT quote_ident(n.nspname)
               FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
              WHERE e.extname = 'pg_stat_statements'",
            &[],
        )
        .await
        .context("cannot read the list of extensions")?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

fn one_line(statement: &str) -> String {
    let words: Vec<_> = statement.split_whitespace().collect();
    words.join(" ").chars().take(SHOWN_CHARS).collect()
}
