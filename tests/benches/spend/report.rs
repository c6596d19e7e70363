//! The figures: as a table, as bars and as JSON.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use crate::load::comparison::Compared;
use crate::load::figures::Figures;
use crate::load::side_by_side::{self, Row};

/// Rises when a file written by an older version can no longer be compared with.
pub const FORMAT: u32 = 1;

/// The share of the native baseline's rate that spending is to reach, in percent.
const TARGET_PERCENT: f64 = 60.0;

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
    /// Both servers, for one account and for many.
    pub rows: Vec<Row>,
    /// Spends that were acknowledged in all, and found in the ledgers one by one.
    pub acknowledged: u64,
}

impl Figures for Report {
    fn compared(&self) -> Compared {
        let rows = self.rows.iter();
        Compared {
            format: self.format,
            conditions: format!("{} cores and {} connections", self.cores, self.connections),
            wasm_p95: rows
                .map(|row| (row.route.clone(), row.wasm.p95_micros))
                .collect(),
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
        for row in &self.rows {
            let share = 100.0 * row.wasm.requests_per_sec / row.native.requests_per_sec;
            if share < TARGET_PERCENT {
                writeln!(
                    out,
                    "note: {} is below the target of {TARGET_PERCENT:.0}% of native",
                    row.route
                )?;
            }
        }
        writeln!(
            out,
            "\n{} spends were acknowledged, and each is in its ledger once; every balance is what is left",
            self.acknowledged
        )
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
    use crate::load::figures::{Figures, Measurement};

    fn measured(requests_per_sec: f64) -> Measurement {
        Measurement {
            requests: 10,
            requests_per_sec,
            p95_micros: 1_500,
            ..Measurement::default()
        }
    }

    fn report(wasm_rate: f64) -> Report {
        Report {
            format: FORMAT,
            command: "cargo bench".to_owned(),
            cores: 2,
            connections: 64,
            warmup_secs: 2.0,
            measured_secs: 10.0,
            rows: vec![Row {
                route: "POST credits/consume, one account".to_owned(),
                wasm: measured(wasm_rate),
                native: measured(1_000.0),
            }],
            acknowledged: 31_415,
        }
    }

    #[test]
    fn the_target() {
        for (wasm_rate, is_below) in [(600.0, false), (599.9, true), (1_200.0, false)] {
            let text = report(wasm_rate).to_text();
            assert_eq!(
                text.contains("below the target"),
                is_below,
                "{wasm_rate} of 1000 a second\n{text}"
            );
        }
    }

    #[test]
    fn the_text_survives_json() {
        let report = report(900.0);
        assert_text_survives(
            &report,
            &["one account", "90%", "64 connections", "31415", "1.50"],
        );
        assert_eq!(
            report.compared().wasm_p95,
            [("POST credits/consume, one account".to_owned(), 1_500)]
        );
    }
}
