//! The figures: as a table and as JSON.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use crate::load::comparison::Compared;
use crate::load::figures::Figures;
use crate::load::table::Table;

/// Rises when a file written by an older version can no longer be compared with.
pub const FORMAT: u32 = 1;

/// Events a minute that are to be stored, and the latency that 95 of 100 batches keep to.
const TARGET_EVENTS_PER_MINUTE: f64 = 3_000_000.0;
const TARGET_P95_MICROS: u64 = 100_000;

/// What one of both did.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    /// Batches within the measured time.
    pub batches: u64,
    /// Events of those in a minute, duplicates included.
    pub events_per_minute: f64,
    /// The median latency of a batch.
    pub p50_micros: u64,
    /// The latency that 95 of 100 do not exceed.
    pub p95_micros: u64,
    /// The latency that 99 of 100 do not exceed.
    pub p99_micros: u64,
    /// The share of the time that the load generator's thread computed.
    pub generator_busy_percent: f64,
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
    /// Connections in use at once.
    pub connections: usize,
    /// Seconds of load before each measurement.
    pub warmup_secs: f64,
    /// Seconds of each measurement.
    pub measured_secs: f64,
    /// The wasm host, which tells duplicates.
    pub wasm: Row,
    /// The loader, which is sent none.
    pub native: Row,
}

impl Figures for Report {
    fn compared(&self) -> Compared {
        Compared {
            format: self.format,
            conditions: format!("{} cores and {} connections", self.cores, self.connections),
            wasm_p95: [("POST usage/events".to_owned(), self.wasm.p95_micros)]
                .into_iter()
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
            "{} cores for server, Postgres (durable) and load; {} connections, {} s of warm-up, {} s measured; latencies of a batch in ms\n",
            self.cores, self.connections, self.warmup_secs, self.measured_secs
        )?;
        let mut table = Table::new(["loader"], ["events/min", "p50", "p95", "p99", "generator"]);
        for (name, row) in [("wasm", &self.wasm), ("COPY, no duplicates", &self.native)] {
            let millis = |micros: u64| format!("{:.1}", micros as f64 / 1_000.0);
            table.row(
                [name],
                [
                    format!("{:.0}", row.events_per_minute),
                    millis(row.p50_micros),
                    millis(row.p95_micros),
                    millis(row.p99_micros),
                    format!("{:.0}%", row.generator_busy_percent),
                ],
            );
        }
        write!(out, "{table}")?;
        if self.wasm.events_per_minute < TARGET_EVENTS_PER_MINUTE {
            writeln!(
                out,
                "note: below the target of {TARGET_EVENTS_PER_MINUTE:.0} events a minute"
            )?;
        }
        if self.wasm.p95_micros > TARGET_P95_MICROS {
            writeln!(
                out,
                "note: the p95 is above the target of {} ms",
                TARGET_P95_MICROS / 1_000
            )?;
        }
        writeln!(
            out,
            "\nthe meters have every event that was acknowledged, once"
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
    use crate::load::figures::{Figures, assert_text_survives};

    fn report(events_per_minute: f64, p95_micros: u64) -> Report {
        let row = |events_per_minute, p95_micros| Row {
            batches: 4_233,
            events_per_minute,
            p50_micros: 50_040,
            p95_micros,
            p99_micros: 95_000,
            generator_busy_percent: 4.4,
        };
        Report {
            format: FORMAT,
            command: "cargo bench".to_owned(),
            cores: 2,
            connections: 4,
            warmup_secs: 5.0,
            measured_secs: 60.0,
            wasm: row(events_per_minute, p95_micros),
            native: row(8_544_000.0, 30_000),
        }
    }

    #[test]
    fn targets() {
        for (events_per_minute, p95_micros, expected) in [
            (3_000_000.0, 100_000, [false, false]),
            (2_999_999.0, 100_000, [true, false]),
            (3_000_000.0, 100_001, [false, true]),
            (1.0, 200_000, [true, true]),
        ] {
            let text = report(events_per_minute, p95_micros).to_text();
            let got = [
                "below the target of 3000000 events",
                "above the target of 100 ms",
            ]
            .map(|note| text.contains(note));
            assert_eq!(
                got, expected,
                "{events_per_minute} events a minute, p95 of {p95_micros} microseconds\n{text}"
            );
        }
    }

    #[test]
    fn the_text_has_both_rows_and_survives_json() {
        let report = report(4_233_000.0, 84_000);
        assert_text_survives(
            &report,
            &[
                "4233000",
                "8544000",
                "COPY, no duplicates",
                "84.0",
                "50.0",
                "4%",
                "4 connections",
            ],
        );
        assert_eq!(
            report.compared().wasm_p95,
            [("POST usage/events".to_owned(), 84_000)]
        );
    }
}
