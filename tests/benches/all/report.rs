//! The figures of all benchmarks together: as a document and as JSON.

use std::fmt::Write;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::load::comparison::Compared;
use crate::load::figures::{Figures as ComparedFigures, Measurement, grouped, millis};
use crate::load::machine::Machine;

use super::targets::{Figures, Reached};

/// Rises when a file written by an older version can no longer be compared with.
pub const FORMAT: u32 = 1;

/// Everything that one run measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// [`FORMAT`].
    pub format: u32,
    /// The command that was given.
    pub command: String,
    /// What it ran on.
    pub machine: Machine,
    /// How long the benchmarks took, without building them.
    pub elapsed_secs: f64,
    /// The commands of the benchmarks.
    pub commands: Vec<String>,
    /// Each operation beside what it is compared with.
    pub operations: Vec<Operation>,
    /// What the design asks for, and what was measured.
    pub targets: Vec<Reached>,
    /// Events of usage that were stored for the summaries.
    pub stored_events: Option<u64>,
}

/// An operation on the wasm host, beside another server or another rate.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Operation {
    /// The benchmark that measures it.
    pub bench: String,
    /// What was asked for.
    pub name: String,
    /// By the wasm host.
    pub wasm: Measurement,
    /// What it is compared with, as in `native`.
    pub beside: String,
    /// What that did.
    pub other: Measurement,
}

impl Report {
    /// The operations of all benchmarks that ran.
    ///
    /// # Errors
    /// A benchmark's figures are not of its form.
    pub fn operations_of(figures: &Figures) -> Result<Vec<Operation>> {
        let mut operations = Vec::new();
        for (bench, name_at) in [("smoke", "/route"), ("summary", "/question")] {
            let Some(figures) = figures.get(bench) else {
                continue;
            };
            for row in rows(figures, "/rows") {
                let name = row.pointer(name_at).and_then(Value::as_str);
                let name = name.with_context(|| format!("a row of {bench} has no name"))?;
                let connections = row.pointer("/connections").and_then(Value::as_u64);
                let name = connections.map_or_else(
                    || name.to_owned(),
                    |connections| format!("{name}, {connections} at a time"),
                );
                operations.push(operation(bench, name, row, ("/wasm", "/native", "native"))?);
            }
        }
        if let Some(figures) = figures.get("auth") {
            let places = ("/introspection/wasm", "/introspection/native", "native");
            let name = "POST auth/introspect, cached".to_owned();
            operations.push(operation("auth", name, figures, places)?);
            for row in rows(figures, "/logins") {
                let connections = row.pointer("/connections").and_then(Value::as_u64);
                let name = format!(
                    "POST auth/login, {} at a time",
                    connections.unwrap_or_default()
                );
                let places = ("/login", "/bare", "bare Argon2id");
                operations.push(operation("auth", name, row, places)?);
            }
        }
        if let Some(figures) = figures.get("ingest") {
            let name = "POST usage/events, batches of 1,000".to_owned();
            let measured = |place: &str| {
                let micros = |quantile: &str| {
                    let found = figures.pointer(&format!("/{place}/{quantile}"));
                    found.and_then(Value::as_u64)
                };
                let found = figures.pointer(&format!("/{place}/batches"));
                let batches = found.and_then(Value::as_u64)?;
                let secs = figures.pointer("/measured_secs")?.as_f64()?;
                Some(Measurement {
                    requests: batches,
                    requests_per_sec: batches as f64 / secs,
                    p50_micros: micros("p50_micros")?,
                    p95_micros: micros("p95_micros")?,
                    p99_micros: micros("p99_micros")?,
                    ..Measurement::default()
                })
            };
            operations.push(Operation {
                bench: "ingest".to_owned(),
                name,
                wasm: measured("wasm").context("ingest has no figures")?,
                beside: "COPY".to_owned(),
                other: measured("native").context("ingest has no figures of COPY")?,
            });
        }
        Ok(operations)
    }

    /// Whether every target is reached.
    pub fn reaches_all(&self) -> bool {
        self.targets.iter().all(|target| target.is_reached)
    }

    /// `docs/performance.md`.
    pub fn document(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write_document(&mut text);
        text
    }

    fn write_document(&self, out: &mut String) -> std::fmt::Result {
        writeln!(
            out,
            "# Performance\n\nWritten by `{}` from [performance.json](performance.json), never by hand. What each\n\
             figure is and what the options change: [operations.md](operations.md#benchmarks).\n\n\
             Measured on {}.\nHost, Postgres (durable), the baseline and the load share the cores; the benchmarks took {:.0} s.",
            self.command,
            self.machine.to_line(),
            self.elapsed_secs
        )?;
        if let Some(events) = self.stored_events {
            writeln!(
                out,
                "The summaries are over {} stored events of usage.",
                grouped(events as f64)
            )?;
        }
        writeln!(
            out,
            "\n## Targets\n\n| what | target | measured | |\n|---|---|---|---|"
        )?;
        for target in &self.targets {
            let mark = if target.is_reached {
                "reached"
            } else {
                "**missed**"
            };
            writeln!(
                out,
                "| {} | {} | {} | {mark} |",
                target.what,
                target.target,
                digits(target.measured)
            )?;
        }
        writeln!(
            out,
            "\n## Operations\n\nRequests a second, and p50 / p95 / p99 in milliseconds.\n\n\
             | operation | wasm host | | beside | | | share |\n|---|---|---|---|---|---|---|"
        )?;
        for operation in &self.operations {
            let share = operation.wasm.requests_per_sec / operation.other.requests_per_sec;
            writeln!(
                out,
                "| {} | {} | {} | {} | {} | {} | {} |",
                operation.name,
                rate(&operation.wasm),
                quantiles(&operation.wasm),
                operation.beside,
                rate(&operation.other),
                quantiles(&operation.other),
                digits(share)
            )?;
        }
        let doubtful: Vec<&str> = self
            .operations
            .iter()
            .filter(|operation| is_doubtful(&operation.wasm) || is_doubtful(&operation.other))
            .map(|operation| operation.name.as_str())
            .collect();
        if !doubtful.is_empty() {
            writeln!(
                out,
                "\nThe machine had other work to do, or the load generator was at its limit, at: {}.",
                doubtful.join("; ")
            )?;
        }
        writeln!(out, "\n## Commands\n")?;
        for command in &self.commands {
            writeln!(out, "    {command}")?;
        }
        Ok(())
    }
}

/// As the benchmarks' own reports mark their rows.
fn is_doubtful(measured: &Measurement) -> bool {
    !crate::load::figures::doubts("", "", measured).is_empty()
}

fn operation(
    bench: &str,
    name: String,
    row: &Value,
    (wasm, other, beside): (&str, &str, &str),
) -> Result<Operation> {
    let measured = |place: &str| -> Result<Measurement> {
        let found = row.pointer(place);
        let found = found.with_context(|| format!("{bench}, {name}: there is no {place}"))?;
        Ok(Measurement::deserialize(found)?)
    };
    Ok(Operation {
        bench: bench.to_owned(),
        wasm: measured(wasm)?,
        beside: beside.to_owned(),
        other: measured(other)?,
        name,
    })
}

fn rows<'a>(figures: &'a Value, place: &str) -> impl Iterator<Item = &'a Value> {
    let rows = figures.pointer(place).and_then(Value::as_array);
    rows.into_iter().flatten()
}

fn rate(measured: &Measurement) -> String {
    if measured.requests_per_sec < 100.0 {
        format!("{:.1}", measured.requests_per_sec)
    } else {
        grouped(measured.requests_per_sec)
    }
}

fn quantiles(measured: &Measurement) -> String {
    [
        measured.p50_micros,
        measured.p95_micros,
        measured.p99_micros,
    ]
    .map(millis)
    .join(" / ")
}

/// To three digits or so.
fn digits(number: f64) -> String {
    if number >= 100.0 {
        grouped(number)
    } else if number >= 10.0 {
        format!("{number:.1}")
    } else {
        format!("{number:.2}")
    }
}

impl ComparedFigures for Report {
    fn compared(&self) -> Compared {
        let rows = self.operations.iter();
        Compared {
            format: self.format,
            conditions: format!("{} cores", self.machine.cores),
            wasm_p95: rows
                .map(|row| (row.name.clone(), row.wasm.p95_micros))
                .collect(),
        }
    }

    fn to_text(&self) -> String {
        self.document()
    }
}

#[cfg(test)]
#[allow(
    dead_code,
    unused_imports,
    reason = "cargo sets cfg(test) for a benchmark too, whose own main replaces the test harness"
)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;
    use crate::load::figures::assert_text_survives;

    fn measured(requests_per_sec: f64, p95_micros: u64) -> Value {
        json!(Measurement {
            requests: 10,
            requests_per_sec,
            p50_micros: 1_000,
            p95_micros,
            p99_micros: 2 * p95_micros,
            ..Measurement::default()
        })
    }

    fn figures() -> Figures {
        Figures::from([
            (
                "smoke".to_owned(),
                json!({"rows": [{"route": "GET health", "wasm": measured(500.0, 1_500), "native": measured(1_000.0, 700)}]}),
            ),
            (
                "summary".to_owned(),
                json!({"rows": [{"question": "summary by day", "connections": 16, "wasm": measured(50.0, 9_990), "native": measured(60.0, 8_000)}]}),
            ),
            (
                "auth".to_owned(),
                json!({
                    "introspection": {"wasm": measured(400.0, 900), "native": measured(800.0, 300)},
                    "logins": [{"connections": 4, "login": measured(40.0, 99_000), "bare": measured(50.0, 80_000)}],
                }),
            ),
            (
                "ingest".to_owned(),
                json!({
                    "measured_secs": 10.0,
                    "wasm": {"batches": 700, "p50_micros": 1, "p95_micros": 2, "p99_micros": 3},
                    "native": {"batches": 1_400, "p50_micros": 1, "p95_micros": 2, "p99_micros": 3},
                }),
            ),
        ])
    }

    #[test]
    fn the_document_has_every_row_and_survives_json() {
        let report = Report {
            format: FORMAT,
            command: "cargo turnpike bench all".to_owned(),
            machine: Machine {
                cores: 2,
                operating_system: "linux".to_owned(),
                architecture: "x86_64".to_owned(),
                date: "2026-01-02T03:04:05Z".to_owned(),
                commit: Some("0123456789ab".to_owned()),
            },
            elapsed_secs: 300.4,
            commands: vec!["cargo bench -p turnpike-tests --bench smoke".to_owned()],
            operations: Report::operations_of(&figures()).expect("all have their form"),
            targets: vec![Reached {
                what: "health: share of native".to_owned(),
                bench: "smoke".to_owned(),
                target: "at least 0.5".to_owned(),
                measured: 0.499,
                is_reached: false,
            }],
            stored_events: Some(1_000_000),
        };
        assert!(!report.reaches_all(), "one is missed");
        assert_text_survives(
            &report,
            &[
                "| health: share of native | at least 0.5 | 0.50 | **missed** |",
                "| GET health | 500 | 1.00 / 1.50 / 3.00 | native | 1,000 | 1.00 / 0.70 / 1.40 | 0.50 |",
                "| summary by day, 16 at a time | 50.0 |",
                "| POST auth/login, 4 at a time | 40.0 | 1.00 / 99.0 / 198.0 | bare Argon2id |",
                "| POST usage/events, batches of 1,000 | 70.0 | 0.00 / 0.00 / 0.00 | COPY | 140 |",
                "0123456789ab",
                "1,000,000 stored events",
                "    cargo bench -p turnpike-tests --bench smoke\n",
            ],
        );
    }

    #[test]
    fn figures_of_another_form_are_refused() {
        for (bench, wrong) in [
            (
                "smoke",
                json!({"rows": [{"route": "a", "wasm": measured(1.0, 1)}]}),
            ),
            ("smoke", json!({"rows": [{"wasm": 1, "native": 2}]})),
            ("auth", json!({})),
            ("ingest", json!({"wasm": {"batches": 1}})),
        ] {
            let figures = Figures::from([(bench.to_owned(), wrong.clone())]);
            assert!(Report::operations_of(&figures).is_err(), "{bench}: {wrong}");
        }
    }

    /// The document is what its figures say: both are written by one command, and by nobody else.
    #[test]
    fn the_document_is_not_edited_by_hand() {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
        let read = |name: &str| std::fs::read_to_string(docs.join(name)).ok();
        let (Some(figures), Some(document)) = (read("performance.json"), read("performance.md"))
        else {
            let either = read("performance.json").or_else(|| read("performance.md"));
            assert!(
                either.is_none(),
                "docs/performance.json and .md belong together"
            );
            return;
        };
        let report: Report = serde_json::from_str(&figures).expect("the figures can be read");
        assert!(
            report.document() == document,
            "docs/performance.md is not what docs/performance.json says: write both with \
             `cargo turnpike bench all --write`"
        );
    }
}
