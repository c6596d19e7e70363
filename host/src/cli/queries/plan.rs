//! How Postgres carries out the statements of a component, or those inside a SQL function, in
//! words. Nothing is run: each statement is planned for values that are not known.

mod body;

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokio_postgres::{Client, SimpleQueryMessage};

use super::callers::Callers;
use crate::cli::report::Section;

/// A table with fewer rows is read as fast without an index.
const SMALL_TABLE_ROWS: i64 = 1_000;

/// What a table shows of a statement.
const SHOWN_CHARS: usize = 70;

/// The statements that a name stands for.
struct Statement {
    /// The component or the SQL function that it is in.
    place: String,
    text: String,
    /// The types of `$1` and so on, where Postgres cannot tell them.
    types: Vec<String>,
}

/// The plans of the component or the SQL function of this name.
pub async fn sections(client: &Client, root: &Path, name: &str) -> Result<Vec<Section>> {
    client
        .batch_execute("SET search_path = public; SET plan_cache_mode = force_generic_plan")
        .await?;
    let mut statements = Vec::new();
    match Callers::read(root)?.statements(name) {
        Some(texts) => {
            for text in texts {
                statements.push(Statement {
                    place: name.to_owned(),
                    text: text.clone(),
                    types: Vec::new(),
                });
                statements.extend(of_functions_called(client, text).await?);
            }
        }
        None => statements.extend(of_function(client, name).await?),
    }
    if statements.is_empty() {
        bail!(
            "{name} is no component that sends statements, and no SQL function that has any: see \
             `turnpike queries slow` for names"
        );
    }
    let mut rows = Vec::new();
    for statement in &statements {
        rows.push(row(client, statement).await?);
    }
    Ok(vec![Section {
        name: "plans",
        about: "how each statement is carried out; rows and cost are Postgres' estimates",
        columns: &["place", "begins", "cost", "rows", "steps", "advice"],
        rows,
        note: None,
    }])
}

/// The statements of the functions that a statement calls by name.
async fn of_functions_called(client: &Client, text: &str) -> Result<Vec<Statement>> {
    let mut statements = Vec::new();
    for name in body::names_called(text) {
        statements.extend(of_function(client, &name).await?);
    }
    Ok(statements)
}

/// The statements inside a function, or none if there is no such function.
async fn of_function(client: &Client, name: &str) -> Result<Vec<Statement>> {
    let rows = client
        .query(
            "SELECT l.lanname::text, coalesce(pg_get_function_sqlbody(p.oid), p.prosrc),
                    coalesce(p.proargnames, '{}'),
                    ARRAY(SELECT format_type(t.oid, NULL)
                            FROM unnest(coalesce(p.proallargtypes, p.proargtypes::oid[])) WITH ORDINALITY t(oid, place)
                           ORDER BY t.place)
               FROM pg_proc p
               JOIN pg_language l ON l.oid = p.prolang
              WHERE p.proname = $1::text AND p.pronamespace = 'public'::regnamespace
                AND l.lanname IN ('sql', 'plpgsql')",
            &[&name],
        )
        .await
        .with_context(|| format!("cannot read the function {name}"))?;
    let mut statements = Vec::new();
    for row in &rows {
        let (language, source): (&str, &str) = (row.try_get(0)?, row.try_get(1)?);
        let (names, types): (Vec<String>, Vec<String>) = (row.try_get(2)?, row.try_get(3)?);
        let arguments: Vec<_> = names.into_iter().zip(types).collect();
        for text in body::statements(source, language == "plpgsql", &arguments) {
            statements.push(Statement {
                place: name.to_owned(),
                text: text.text,
                types: text.types,
            });
        }
    }
    Ok(statements)
}

async fn row(client: &Client, statement: &Statement) -> Result<Value> {
    let words: Vec<_> = statement.text.split_whitespace().collect();
    let begins: String = words.join(" ").chars().take(SHOWN_CHARS).collect();
    let mut row = json!({
        "place": statement.place,
        "statement": statement.text,
        "begins": begins,
        "cost": null,
        "rows": null,
        "steps": [],
        "advice": null,
    });
    match explain(client, statement).await {
        Ok(plan) => {
            row["cost"] = plan["Total Cost"].clone();
            row["rows"] = plan["Plan Rows"].clone();
            let mut steps = Steps::default();
            steps.visit(&plan);
            row["advice"] = json!(steps.advice(client).await?);
            row["steps"] = json!(steps.words);
        }
        // One that names a record, or that is put together when it runs.
        Err(error) => row["steps"] = json!([format!("cannot be planned by itself: {error:#}")]),
    }
    Ok(row)
}

async fn explain(client: &Client, statement: &Statement) -> Result<Value> {
    let types = match &statement.types[..] {
        [] => String::new(),
        types => format!("({})", types.join(", ")),
    };
    client.batch_execute("DEALLOCATE ALL").await?;
    let prepared = client
        .batch_execute(&format!("PREPARE planned {types} AS {}", statement.text))
        .await;
    prepared.map_err(|error| match error.as_db_error() {
        Some(problem) => anyhow::anyhow!("{}", problem.message()),
        None => error.into(),
    })?;
    let counted =
        "SELECT cardinality(parameter_types) FROM pg_prepared_statements WHERE name = 'planned'";
    let count: usize = text_of(client, counted).await?.parse()?;
    let values = match count {
        0 => String::new(),
        count => format!("({})", vec!["NULL"; count].join(", ")),
    };
    let plan = text_of(
        client,
        &format!("EXPLAIN (FORMAT JSON) EXECUTE planned {values}"),
    )
    .await?;
    let plan: Value = serde_json::from_str(&plan).context("the plan is no JSON")?;
    Ok(plan[0]["Plan"].clone())
}

/// The first column of the first row.
async fn text_of(client: &Client, sql: &str) -> Result<String> {
    let messages = client.simple_query(sql).await?;
    let text = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    });
    text.context("Postgres answered without a row")
}

/// What a plan does, in words.
#[derive(Default)]
struct Steps {
    words: Vec<String>,
    tables_read_whole: Vec<String>,
}

impl Steps {
    /// What a step reads from comes before it.
    fn visit(&mut self, step: &Value) {
        for inner in step["Plans"].as_array().into_iter().flatten() {
            self.visit(inner);
        }
        let member = |name: &str| step[name].as_str().unwrap_or_default();
        let rows = &step["Plan Rows"];
        let table = member("Relation Name");
        let index = member("Index Name");
        let words = match member("Node Type") {
            "Seq Scan" => {
                self.tables_read_whole.push(table.to_owned());
                format!("reads all of {table} for {rows} rows")
            }
            "Index Scan" => format!("finds {rows} rows of {table} by the index {index}"),
            "Index Only Scan" => format!("finds {rows} rows in the index {index} alone"),
            "Bitmap Index Scan" => format!("looks {rows} rows up in the index {index}"),
            "Bitmap Heap Scan" => format!("reads {rows} rows of {table} by what was looked up"),
            "Function Scan" => format!("calls {}", member("Function Name")),
            "ModifyTable" => format!("{} of {table}", member("Operation").to_lowercase()),
            "Sort" | "Incremental Sort" => format!("sorts {rows} rows"),
            "Nested Loop" => format!("joins, row by row, to {rows} rows"),
            "Hash Join" | "Merge Join" => format!("joins to {rows} rows"),
            "Aggregate" => format!("adds up to {rows} rows"),
            // What only hands rows on.
            _ => return,
        };
        self.words.push(words);
    }

    async fn advice(&self, client: &Client) -> Result<Option<String>> {
        let row = client
            .query_one(
                "SELECT string_agg(DISTINCT format('%s has %s rows and is read whole', relname, reltuples::bigint), '; ')
                   FROM pg_class
                  WHERE relname = ANY($1) AND relnamespace = 'public'::regnamespace AND reltuples >= $2::bigint",
                &[&self.tables_read_whole, &SMALL_TABLE_ROWS],
            )
            .await?;
        let tables: Option<String> = row.try_get(0)?;
        Ok(tables.map(|tables| format!("{tables}: give the condition an index")))
    }
}
