//! The figures: as tables and as JSON.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use crate::load::comparison::Compared;
use crate::load::figures::{Figures, Measurement, doubts, grouped, millis, share};
use crate::load::table::Table;

/// Rises when a file written by an older version can no longer be compared with.
pub const FORMAT: u32 = 1;

/// What a summary that asks Postgres may take, one at a time.
const TARGET_MICROS: u64 = 10_000;

/// One question with so many connections.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    /// What was asked.
    pub question: String,
    /// Connections in use at once.
    pub connections: usize,
    /// Whether it is a summary that was made anew each time, for which there is a target.
    pub is_made_anew: bool,
    /// By the wasm host.
    pub wasm: Measurement,
    /// By the native baseline.
    pub native: Measurement,
}

/// What the summaries are of.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Stored {
    /// Events of all organizations.
    pub events: u64,
    /// Organizations.
    pub organizations: u16,
    /// Events of the one that is measured.
    pub own_events: u64,
    /// Days of the month that the events are of.
    pub days: u32,
    /// Bytes of the database.
    pub database_bytes: i64,
    /// Seconds that storing the events took.
    pub elapsed_secs: f64,
}

/// Everything that one run measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// [`FORMAT`].
    pub format: u32,
    /// The command that was given.
    pub command: String,
    /// Processor cores, which the server, Postgres and the load generator share.
    pub cores: usize,
    /// Seconds of load before each measurement.
    pub warmup_secs: f64,
    /// Seconds of each measurement.
    pub measured_secs: f64,
    /// What the summaries are of.
    pub stored: Stored,
    /// The figures.
    pub rows: Vec<Row>,
}

impl Figures for Report {
    fn compared(&self) -> Compared {
        let rows = self.rows.iter();
        Compared {
            format: self.format,
            conditions: format!(
                "{} cores, {} events and {} organizations",
                self.cores, self.stored.events, self.stored.organizations
            ),
            wasm_p95: rows.map(|row| (row.name(), row.wasm.p95_micros)).collect(),
        }
    }

    fn to_text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write_text(&mut text);
        text
    }
}

impl Row {
    fn name(&self) -> String {
        format!("{}, {} at a time", self.question, self.connections)
    }

    fn is_above_target(&self) -> bool {
        self.connections == 1 && self.is_made_anew && self.wasm.p95_micros >= TARGET_MICROS
    }
}

impl Report {
    fn write_text(&self, out: &mut String) -> std::fmt::Result {
        let stored = &self.stored;
        writeln!(out, "{}", self.command)?;
        writeln!(
            out,
            "{} cores for server, Postgres (durable) and load; {} s of warm-up, {} s measured; latencies in ms",
            self.cores, self.warmup_secs, self.measured_secs
        )?;
        writeln!(
            out,
            "{} events of {} organizations over {} days, of which the one that is measured has {}, in each of the {} quarters of an hour",
            grouped(stored.events as f64),
            stored.organizations,
            stored.days,
            grouped(stored.own_events as f64),
            grouped(f64::from(stored.days * 96))
        )?;
        writeln!(
            out,
            "stored in {:.0} s by the function that stores batches, each once as the meters say; {:.1} GB",
            stored.elapsed_secs,
            stored.database_bytes as f64 / 1e9
        )?;
        let mut connections: Vec<_> = self.rows.iter().map(|row| row.connections).collect();
        connections.sort_unstable();
        connections.dedup();
        for connections in connections {
            self.write_table(out, connections)?;
        }
        writeln!(
            out,
            "\na summary that is not cached asks for another range each time, of {} to {} days",
            stored.days.saturating_sub(2),
            stored.days
        )?;
        for row in &self.rows {
            for (server, measured) in [("wasm host", &row.wasm), ("native baseline", &row.native)] {
                out.write_str(&doubts(&row.name(), server, measured))?;
            }
            if row.is_above_target() {
                writeln!(
                    out,
                    "note: {}: the p95 is not below the target of {} ms",
                    row.name(),
                    TARGET_MICROS / 1_000
                )?;
            }
        }
        Ok(())
    }

    fn write_table(&self, out: &mut String, connections: usize) -> std::fmt::Result {
        let rows = self.rows.iter();
        let rows = rows.filter(|row| row.connections == connections);
        let title = match connections {
            1 => "one at a time".to_owned(),
            many => format!("{many} at a time"),
        };
        let mut table = Table::new(
            [title.as_str(), "server"],
            [
                "req/s",
                "min",
                "avg",
                "p50",
                "p95",
                "p99",
                "max",
                "wasm / native",
            ],
        );
        for row in rows {
            let Row {
                question,
                wasm,
                native,
                ..
            } = row;
            let ratio = share(wasm.requests_per_sec, native.requests_per_sec);
            table.row(
                [question.as_str(), "wasm"],
                figures_of(wasm).into_iter().chain([ratio]),
            );
            table.row(["", "native"], figures_of(native));
        }
        write!(out, "\n{table}")
    }
}

fn figures_of(measured: &Measurement) -> [String; 7] {
    [
        grouped(measured.requests_per_sec),
        millis(measured.min_micros),
        millis(measured.avg_micros),
        millis(measured.p50_micros),
        millis(measured.p95_micros),
        millis(measured.p99_micros),
        millis(measured.max_micros),
    ]
}

#[cfg(test)]
#[allow(
    dead_code,
    unused_imports,
    reason = "cargo sets cfg(test) for a benchmark too, whose own main replaces the test harness"
)]
mod tests {
    use super::*;
    use crate::load::figures::assert_text_survives;

    fn row(question: &str, connections: usize, is_made_anew: bool, p95_micros: u64) -> Row {
        let measured = |p95_micros| Measurement {
            requests: 10,
            requests_per_sec: 1_234.5,
            min_micros: 110,
            avg_micros: 5_550,
            p95_micros,
            ..Measurement::default()
        };
        Row {
            question: question.to_owned(),
            connections,
            is_made_anew,
            wasm: measured(p95_micros),
            native: measured(1_000),
        }
    }

    fn report(rows: Vec<Row>) -> Report {
        Report {
            format: FORMAT,
            command: "cargo bench".to_owned(),
            cores: 2,
            warmup_secs: 2.0,
            measured_secs: 5.0,
            stored: Stored {
                events: 20_000_000,
                organizations: 10,
                own_events: 10_000_000,
                days: 31,
                database_bytes: 8_800_000_000,
                elapsed_secs: 250.5,
            },
            rows,
        }
    }

    #[test]
    fn the_text_has_every_row_and_survives_json() {
        let rows = vec![
            row("by hour", 1, true, 9_990),
            row("by day, cached", 1, false, 30),
            row("by hour", 16, true, 45_600),
        ];
        let report = report(rows);
        let text = assert_text_survives(
            &report,
            &[
                "20,000,000 events of 10 organizations over 31 days",
                "has 10,000,000, in each of the 2,976 quarters",
                "8.8 GB",
                "one at a time",
                "16 at a time",
                "by day, cached",
                "9.99",
                "45.6",
                "0.11",
                "5.55",
                "100%",
            ],
        );
        assert_eq!(text.matches("native ").count(), 3, "\n{text}");
        assert_eq!(
            report.compared().wasm_p95.last(),
            Some(&("by hour, 16 at a time".to_owned(), 45_600))
        );
    }

    #[test]
    fn a_target_that_is_missed_is_said() {
        for (row, expected) in [
            (row("by hour", 1, true, 9_999), 0),
            (row("by hour", 1, true, 10_000), 1),
            (row("by hour", 16, true, 10_000), 0),
            (row("by day, cached", 1, false, 10_000), 0),
        ] {
            let name = row.name();
            let text = report(vec![row]).to_text();
            assert_eq!(
                text.matches("the target of 10 ms").count(),
                expected,
                "{name}\n{text}"
            );
        }
    }
}
