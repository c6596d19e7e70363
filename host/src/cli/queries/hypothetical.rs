//! Indexes that are not there, which the extension hypopg makes the planner believe in: so advice
//! can be tried before it is given. They belong to the session, and nothing is written.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio_postgres::Client;

/// What there is to say where the extension is missing.
pub const NOT_INSTALLED: &str =
    "not tried, because the extension hypopg is not installed: CREATE EXTENSION hypopg";

/// The extension, where it is installed.
pub struct Hypothetical {
    /// The schema of its functions, as SQL writes it.
    schema: String,
}

/// What an index would bring.
pub struct Tried {
    /// What the statement would cost with it, in the planner's units.
    pub cost: f64,
    /// How large it would be, in words.
    pub size: String,
}

impl Hypothetical {
    /// The extension, if this database has it.
    ///
    /// # Errors
    /// When Postgres refuses the statement.
    pub async fn find(client: &Client) -> Result<Option<Self>> {
        let rows = client
            .query(
                "SELECT quote_ident(n.nspname) FROM pg_extension e
                   JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'hypopg'",
                &[],
            )
            .await?;
        let schema = rows.first().map(|row| row.try_get(0)).transpose()?;
        Ok(schema.map(|schema| Self { schema }))
    }

    /// What a plan costs with an index, which is forgotten afterwards.
    ///
    /// # Errors
    /// When the index cannot be, or the statement cannot be planned.
    pub async fn attempt(
        &self,
        client: &Client,
        index: &str,
        plan: impl Future<Output = Result<Value>>,
    ) -> Result<Tried> {
        let schema = &self.schema;
        let sql = format!(
            "SELECT pg_size_pretty({schema}.hypopg_relation_size(indexrelid)) FROM {schema}.hypopg_create_index($1)"
        );
        let row = client.query_one(&sql, &[&index]).await;
        let row = row.with_context(|| format!("cannot imagine {index}"))?;
        let plan = plan.await;
        client
            .batch_execute(&format!("SELECT {schema}.hypopg_reset()"))
            .await?;
        Ok(Tried {
            cost: cost(&plan?),
            size: row.try_get(0)?,
        })
    }
}

/// What a plan costs, in the planner's units.
pub fn cost(plan: &Value) -> f64 {
    plan["Total Cost"].as_f64().unwrap_or(f64::MAX)
}

/// Tries the indexes that references lack: what finding the rows of one referenced row costs now, and
/// would cost.
///
/// # Errors
/// When Postgres refuses a statement.
pub async fn try_references(client: &Client, rows: &mut [Value]) -> Result<Option<&'static str>> {
    let Some(hypothetical) = Hypothetical::find(client).await? else {
        return Ok(Some(NOT_INSTALLED));
    };
    for row in rows {
        let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        let (table, columns) = (text("table"), text("columns"));
        let sql = format!(
            "EXPLAIN (FORMAT JSON) SELECT 1 FROM ONLY {table}
              WHERE ({columns}) = (SELECT {columns} FROM ONLY {table} LIMIT 1)"
        );
        let plan = async || -> Result<Value> {
            let row = client.query_one(&sql, &[]).await?;
            let plans: Value = row.try_get(0)?;
            Ok(plans[0]["Plan"].clone())
        };
        let now = plan().await?;
        let index = format!("CREATE INDEX ON {table} ({columns})");
        let tried = hypothetical.attempt(client, &index, plan()).await?;
        row["cost"] = now["Total Cost"].clone();
        row["cost_with_index"] = json!(tried.cost);
        row["index_size"] = json!(tried.size);
    }
    Ok(None)
}
