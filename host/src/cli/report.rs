//! What a command found out: tables for people, or one JSON document for programs.

use anyhow::Result;
use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use serde_json::{Map, Value, json};
use tokio_postgres::Client;

/// Spaces between two columns.
const GAP_CHARS: u16 = 2;

/// How wide a table is at most.
const WIDTH_CHARS: u16 = 160;

/// One table of a report.
#[derive(Debug, Clone, PartialEq)]
pub struct Section {
    /// What the table is called, in JSON too.
    pub name: &'static str,
    /// What is in it, in a sentence.
    pub about: &'static str,
    /// The members of a row that are shown, in this order.
    pub columns: &'static [&'static str],
    /// The rows; each is an object.
    pub rows: Vec<Value>,
    /// What else there is to say, as that something is not installed.
    pub note: Option<String>,
}

impl Section {
    /// The table for people, or a line that there is nothing in it.
    pub fn text(&self) -> String {
        let mut text = format!("{}: {}\n", self.name.replace('_', " "), self.about);
        if !self.rows.is_empty() {
            text += &table(self.columns, &self.rows);
        } else if self.note.is_none() {
            text += "  nothing\n";
        }
        if let Some(note) = &self.note {
            text += &format!("  {note}\n");
        }
        text
    }

    fn json(&self) -> Value {
        json!({ "rows": self.rows, "note": self.note })
    }
}

/// All tables as one document, by their names.
pub fn json(sections: &[Section]) -> Value {
    let members = sections
        .iter()
        .map(|section| (section.name.to_owned(), section.json()));
    Value::Object(members.collect::<Map<_, _>>())
}

/// The rows of a statement as objects. The statement ends without a semicolon.
///
/// # Errors
/// When Postgres refuses the statement.
pub async fn rows(client: &Client, sql: &str) -> Result<Vec<Value>> {
    let sql = format!("SELECT to_jsonb(found) FROM ({sql}) found");
    let rows = client.query(&sql, &[]).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// Columns as wide as what they hold. A column is of numbers when all its cells are.
fn table(columns: &[&str], rows: &[Value]) -> String {
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(WIDTH_CHARS)
        .set_header(columns.iter().map(|column| column.replace('_', " ")));
    for row in rows {
        table.add_row(columns.iter().map(|column| cell(&row[*column])));
    }
    for (column, name) in table.column_iter_mut().zip(columns) {
        column.set_padding((0, GAP_CHARS));
        if rows.iter().all(|row| row[*name].is_number()) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let lines = table.trim_fmt();
    lines.lines().map(|line| format!("  {line}\n")).collect()
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(cell).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(rows: Vec<Value>, note: Option<&str>) -> Section {
        Section {
            name: "two_things",
            about: "a name and a number",
            columns: &["the_name", "count"],
            rows,
            note: note.map(str::to_owned),
        }
    }

    #[test]
    fn tables_and_documents() {
        let full = vec![
            json!({ "the_name": "a", "count": 7, "more": true }),
            json!({ "the_name": ["b", "c"], "count": 10_000, "more": false }),
        ];
        for (section, expected) in [
            (
                section(full.clone(), None),
                "two things: a name and a number\n  the name  count\n  a             7\n  b, c      10000\n",
            ),
            (
                section(
                    vec![json!({ "the_name": null, "count": 3 })],
                    Some("see there"),
                ),
                "two things: a name and a number\n  the name  count\n                3\n  see there\n",
            ),
            (
                section(vec![], None),
                "two things: a name and a number\n  nothing\n",
            ),
            (
                section(vec![], Some("not installed")),
                "two things: a name and a number\n  not installed\n",
            ),
        ] {
            assert_eq!(section.text(), expected, "the text of {section:?}");
        }
        assert_eq!(
            json(&[section(full.clone(), Some("n"))]),
            json!({ "two_things": { "rows": full, "note": "n" } }),
            "the document has every member"
        );
    }
}
