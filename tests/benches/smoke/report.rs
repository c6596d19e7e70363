//! The figures: as a table, as bars and as JSON.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use crate::load::comparison::Compared;
use crate::load::figures::{Figures, Function, Measurement, function_sizes, millis};
use crate::load::side_by_side::{self, Row};
use crate::load::table::Table;

/// Rises when a file written by an older version can no longer be compared with.
pub const FORMAT: u32 = 1;

/// Everything that one run measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// [`FORMAT`].
    pub format: u32,
    /// The command that was given.
    pub command: String,
    /// Processor cores, which the server, Postgres and the load generator share.
    pub cores: usize,
    /// Connections in use at once.
    pub connections: usize,
    /// Seconds of load before each measurement.
    pub warmup_secs: f64,
    /// Seconds of each measurement.
    pub measured_secs: f64,
    /// Both servers, route by route.
    pub rows: Vec<Row>,
    /// The wasm host with a new instance for every request, one request at a time.
    pub cold_starts: Vec<ColdStart>,
    /// What was served.
    pub functions: Vec<Function>,
}

/// A route when every request meets a fresh instance.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ColdStart {
    /// What was asked for.
    pub route: String,
    /// By the wasm host.
    pub wasm: Measurement,
}

impl Figures for Report {
    fn compared(&self) -> Compared {
        Compared {
            format: self.format,
            conditions: format!("{} cores and {} connections", self.cores, self.connections),
            wasm_p95: self.wasm_p95().collect(),
        }
    }

    fn to_text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write_text(&mut text);
        text
    }
}

impl Report {
    fn write_text(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "{}", self.command)?;
        writeln!(
            out,
            "{} cores for server, Postgres (durable) and load; {} connections, {} s of warm-up, {} s measured; latencies in ms\n",
            self.cores, self.connections, self.warmup_secs, self.measured_secs
        )?;
        side_by_side::write(out, &self.rows)?;

        writeln!(
            out,
            "\ncold start: every request meets a fresh instance, one at a time; ms"
        )?;
        let mut table = Table::new(["route"], ["p50", "p99", "max"]);
        for cold in &self.cold_starts {
            let Measurement {
                p50_micros,
                p99_micros,
                max_micros,
                ..
            } = cold.wasm;
            table.row(
                [cold.route.as_str()],
                [p50_micros, p99_micros, max_micros].map(millis),
            );
        }
        write!(out, "{table}\n{}", function_sizes(&self.functions))
    }

    fn wasm_p95(&self) -> impl Iterator<Item = (String, u64)> {
        let rows = self
            .rows
            .iter()
            .map(|row| (row.route.clone(), row.wasm.p95_micros));
        let cold_starts = self
            .cold_starts
            .iter()
            .map(|cold| (format!("cold {}", cold.route), cold.wasm.p95_micros));
        rows.chain(cold_starts)
    }
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

    fn measured(p95_micros: u64) -> Measurement {
        Measurement {
            requests: 10,
            requests_per_sec: 1_234.5,
            p95_micros,
            ..Measurement::default()
        }
    }

    fn report(rows: &[(&str, u64)]) -> Report {
        Report {
            format: FORMAT,
            command: "cargo bench".to_owned(),
            cores: 2,
            connections: 32,
            warmup_secs: 2.0,
            measured_secs: 5.0,
            rows: rows
                .iter()
                .map(|(route, p95)| Row {
                    route: (*route).to_owned(),
                    wasm: measured(*p95),
                    native: measured(1),
                })
                .collect(),
            cold_starts: vec![],
            functions: vec![],
        }
    }

    #[test]
    fn the_text_has_every_row_and_survives_json() {
        let report = report(&[("GET a", 1_500), ("POST b", 2_500)]);
        assert_text_survives(
            &report,
            &[
                "GET a", "POST b", "1.50", "2.50", "1,234", "100%", "2 cores",
            ],
        );
    }
}
