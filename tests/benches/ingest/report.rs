//! The figures: as a table and as JSON.

use std::fmt::Write;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::batches::EVENTS_PER_BATCH;
use crate::load::comparison::Compared;
use crate::load::run::Figures;
use crate::sending::Outcome;

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

impl Row {
    /// The figures of a measurement.
    pub fn of(outcome: &Outcome, measured: Duration) -> Self {
        let batches = outcome.latencies.len();
        let quantile = |share| outcome.latencies.value_at_quantile(share);
        Self {
            batches,
            events_per_minute: (batches * EVENTS_PER_BATCH) as f64 * 60.0 / measured.as_secs_f64(),
            p50_micros: quantile(0.5),
            p95_micros: quantile(0.95),
            p99_micros: quantile(0.99),
            generator_busy_percent: outcome.busy_percent,
        }
    }
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
        writeln!(
            out,
            "{:<24}{:>12}{:>9}{:>9}{:>9}{:>12}",
            "", "events/min", "p50", "p95", "p99", "generator"
        )?;
        for (name, row) in [("wasm", &self.wasm), ("COPY, no duplicates", &self.native)] {
            let millis = |micros: u64| micros as f64 / 1_000.0;
            writeln!(
                out,
                "{name:<24}{:>12.0}{:>9.1}{:>9.1}{:>9.1}{:>11.0}%",
                row.events_per_minute,
                millis(row.p50_micros),
                millis(row.p95_micros),
                millis(row.p99_micros),
                row.generator_busy_percent
            )?;
        }
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
