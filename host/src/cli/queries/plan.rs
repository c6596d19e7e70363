//! How Postgres carries out the statements of a component, or those inside a SQL function, in
//! words. Nothing is run: each statement is planned for values that are not known.

mod body;

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokio_postgres::{Client, SimpleQueryMessage};

use self::body::Planned;
use super::callers::Callers;
use super::hypothetical::{Hypothetical, cost};
use crate::cli::report::Section;

/// A table with fewer rows is read as fast without an index.
const SMALL_TABLE_ROWS: i64 = 1_000;

/// What a table shows of a statement.
const SHOWN_CHARS: usize = 70;

/// The statements that a name stands for.
struct Statement {
    /// The component or the SQL function that it is in.
    place: String,
    planned: Planned,
    /// The same with what the function answers as variables too. In a body the name of an answer
    /// can be that of a column, of an alias, or of the variable: whichever can be planned.
    with_answers: Option<Planned>,
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
                    planned: Planned {
                        text: text.clone(),
                        types: Vec::new(),
                    },
                    with_answers: None,
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
                           ORDER BY t.place),
                    ARRAY(SELECT mode IN ('o', 't') FROM unnest(p.proargmodes) WITH ORDINALITY m(mode, place)
                           ORDER BY m.place)
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
        // Empty where all arguments are given by the caller.
        let are_answers: Vec<bool> = row.try_get(4)?;
        let is_plpgsql = language == "plpgsql";
        let all: Vec<_> = names.into_iter().zip(types).collect();
        let is_given = |place: usize| !are_answers.get(place).copied().unwrap_or_default();
        let given: Vec<_> = all
            .iter()
            .enumerate()
            .filter(|(place, _)| is_given(*place))
            .map(|(_, argument)| argument.clone())
            .collect();
        // A body of plain SQL does not know its answers by name.
        let with_answers = (is_plpgsql && given.len() < all.len())
            .then(|| body::statements(source, is_plpgsql, &all));
        let mut with_answers = with_answers.into_iter().flatten();
        for planned in body::statements(source, is_plpgsql, &given) {
            statements.push(Statement {
                place: name.to_owned(),
                with_answers: with_answers.next().filter(|other| *other != planned),
                planned,
            });
        }
    }
    Ok(statements)
}

async fn row(client: &Client, statement: &Statement) -> Result<Value> {
    let mut planned = &statement.planned;
    let mut outcome = explain(client, planned).await;
    if let (Err(_), Some(other)) = (&outcome, &statement.with_answers)
        && let Ok(plan) = explain(client, other).await
    {
        planned = other;
        outcome = Ok(plan);
    }
    let words: Vec<_> = planned.text.split_whitespace().collect();
    let begins: String = words.join(" ").chars().take(SHOWN_CHARS).collect();
    let mut row = json!({
        "place": statement.place,
        "statement": planned.text,
        "begins": begins,
        "cost": null,
        "rows": null,
        "steps": [],
        "advice": null,
    });
    match outcome {
        Ok(plan) => {
            row["cost"] = plan["Total Cost"].clone();
            row["rows"] = plan["Plan Rows"].clone();
            let mut steps = Steps::default();
            steps.visit(&plan);
            row["advice"] = json!(steps.advice(client, planned, cost(&plan)).await?);
            row["steps"] = json!(steps.words);
        }
        // One that names a record, or that is put together when it runs.
        Err(error) => row["steps"] = json!([format!("cannot be planned by itself: {error:#}")]),
    }
    Ok(row)
}

async fn explain(client: &Client, statement: &Planned) -> Result<Value> {
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
    /// Tables, each with the condition of its rows.
    read_whole: Vec<(String, String)>,
}

/// Indexes that are tried for one statement.
const MAX_TRIED: i64 = 8;

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
                self.read_whole
                    .push((table.to_owned(), member("Filter").to_owned()));
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

    /// What to do about tables that are read whole. Where hypopg is installed the indexes on one
    /// column of a condition are tried, and the best is named.
    async fn advice(
        &self,
        client: &Client,
        statement: &Planned,
        cost_now: f64,
    ) -> Result<Option<String>> {
        let tables: Vec<_> = self.read_whole.iter().map(|(table, _)| table).collect();
        let row = client
            .query_one(
                "SELECT string_agg(DISTINCT format('%s has %s rows and is read whole', relname, reltuples::bigint), '; ')
                   FROM pg_class
                  WHERE relname = ANY($1) AND relnamespace = 'public'::regnamespace AND reltuples >= $2::bigint",
                &[&tables, &SMALL_TABLE_ROWS],
            )
            .await?;
        let Some(tables) = row.try_get::<_, Option<String>>(0)? else {
            return Ok(None);
        };
        let remedy = match Hypothetical::find(client).await? {
            Some(hypothetical) => {
                let best = self.best_index(client, &hypothetical, statement).await?;
                match best.filter(|(_, cost)| *cost < cost_now) {
                    Some((index, cost)) => {
                        format!("{index}; it would cost {cost} instead of {cost_now}")
                    }
                    None => "no index on one column of its condition makes it cheaper".to_owned(),
                }
            }
            None => "give the condition an index".to_owned(),
        };
        Ok(Some(format!("{tables}: {remedy}")))
    }

    /// The index on one column of a condition with which the statement costs least, and what it
    /// costs then.
    async fn best_index(
        &self,
        client: &Client,
        hypothetical: &Hypothetical,
        statement: &Planned,
    ) -> Result<Option<(String, f64)>> {
        let mut best: Option<(String, f64)> = None;
        for (table, condition) in &self.read_whole {
            let columns = client
                .query(
                    "SELECT format('CREATE INDEX ON %s (%I)', attrelid::regclass, attname)
                       FROM pg_attribute
                      WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped
                        AND $2 ~ ('\\m' || attname || '\\M')
                      ORDER BY attnum LIMIT $3",
                    &[&format!("public.{table}"), condition, &MAX_TRIED],
                )
                .await?;
            for column in &columns {
                let index: String = column.try_get(0)?;
                let plan = explain(client, statement);
                let tried = hypothetical.attempt(client, &index, plan).await?;
                if best.as_ref().is_none_or(|(_, cost)| tried.cost < *cost) {
                    best = Some((index, tried.cost));
                }
            }
        }
        Ok(best)
    }
}
