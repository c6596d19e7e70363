//! The figures: as a table and as JSON.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use crate::load::figures::{grouped, millis};
use crate::load::machine::Machine;
use crate::load::table::Table;

/// Rises when a file written by an older version can no longer be compared with.
pub const FORMAT: u32 = 1;

/// A generator that computed for more than this share of the time may have been what was
/// measured.
const BUSY_PERCENT: f64 = 90.0;

/// A machine that is busier than this with other work measures that work.
const OTHER_WORK_PERCENT: f64 = 10.0;

/// Everything that one run measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`FORMAT`].
    pub format: u32,
    /// The command that was given.
    pub command: String,
    /// What it ran on.
    pub machine: Machine,
    /// What was asked for.
    pub parameters: Parameters,
    /// What came of it, endpoint by endpoint.
    pub endpoints: Vec<Measured>,
}

/// What figures depend on besides the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameters {
    /// `all`, or the name of one.
    pub endpoint: String,
    /// Requests that were measured of each endpoint.
    pub iterations: u64,
    /// Requests of each before that.
    pub warmup_iterations: u64,
    /// Requests in flight.
    pub concurrency: usize,
    /// Members of the organization.
    pub members: usize,
    /// Transactions of the user.
    pub transactions: usize,
    /// Organizations with a subscription.
    pub subscriptions: usize,
}

/// What came of one endpoint.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Its name.
    pub endpoint: String,
    /// What was asked for.
    pub target: String,
    /// Requests that were answered with success; the latencies are theirs, and zero if there was
    /// none.
    pub successes: u64,
    /// The other ones.
    pub errors: u64,
    /// What went wrong first.
    pub first_error: Option<String>,
    /// Successes in a second.
    pub requests_per_sec: f64,
    /// The shortest latency.
    pub min_micros: u64,
    /// The mean.
    pub avg_micros: u64,
    /// The median.
    pub p50_micros: u64,
    /// What 95 of 100 do not exceed.
    pub p95_micros: u64,
    /// What 99 of 100 do not exceed.
    pub p99_micros: u64,
    /// The longest.
    pub max_micros: u64,
    /// The share of the successes that came from the cache.
    pub cache_hits_percent: f64,
    /// The share of the time that the load generator's thread computed.
    pub generator_busy_percent: f64,
    /// How busy the machine was just before or just after, whichever is more, when nothing of
    /// ours ran; where it can be told.
    pub other_work_percent: Option<f64>,
}

impl Report {
    /// Whether every request was answered with success.
    pub fn is_free_of_errors(&self) -> bool {
        self.endpoints.iter().all(|measured| measured.errors == 0)
    }

    /// The report for people.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write_text(&mut text);
        text
    }

    fn write_text(&self, out: &mut String) -> std::fmt::Result {
        let parameters = &self.parameters;
        writeln!(out, "{}", self.command)?;
        writeln!(
            out,
            "{} cores for host, Postgres (durable) and load; {} requests of each endpoint after {} of warm-up, {} at a time",
            self.machine.cores,
            parameters.iterations,
            parameters.warmup_iterations,
            parameters.concurrency
        )?;
        writeln!(
            out,
            "an organization with {} members, a user with {} transactions, {} subscriptions; latencies in ms\n",
            parameters.members,
            grouped(parameters.transactions as f64),
            parameters.subscriptions
        )?;
        let mut table = Table::new(
            ["endpoint"],
            [
                "req/s", "min", "avg", "p50", "p95", "p99", "max", "cached", "errors",
            ],
        );
        for measured in &self.endpoints {
            table.row(
                [measured.endpoint.as_str()],
                [
                    grouped(measured.requests_per_sec),
                    millis(measured.min_micros),
                    millis(measured.avg_micros),
                    millis(measured.p50_micros),
                    millis(measured.p95_micros),
                    millis(measured.p99_micros),
                    millis(measured.max_micros),
                    format!("{:.0}%", measured.cache_hits_percent),
                    measured.errors.to_string(),
                ],
            );
        }
        write!(out, "{table}")?;
        for measured in &self.endpoints {
            measured.write_notes(out)?;
        }
        Ok(())
    }
}

impl Measured {
    fn write_notes(&self, out: &mut String) -> std::fmt::Result {
        if let Some(error) = &self.first_error {
            writeln!(out, "ERROR {}: {error}", self.endpoint)?;
        }
        if let Some(percent) = self.other_work_percent
            && percent > OTHER_WORK_PERCENT
        {
            writeln!(
                out,
                "note: {}: the machine was {percent:.0}% busy with other work; do not trust this row",
                self.endpoint
            )?;
        }
        if self.generator_busy_percent > BUSY_PERCENT {
            writeln!(
                out,
                "note: {}: the load generator was busy for {:.0}% of the time; the host may reach more",
                self.endpoint, self.generator_busy_percent
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(
    dead_code,
    unused_imports,
    reason = "cargo sets cfg(test) for a benchmark too, whose own main replaces the test harness"
)]
pub mod tests {
    use super::*;

    /// What one endpoint did, with this p95.
    pub fn measured(endpoint: &str, p95_micros: u64, errors: u64) -> Measured {
        Measured {
            endpoint: endpoint.to_owned(),
            target: format!("/api/v1/{endpoint}"),
            successes: 1_000,
            errors,
            first_error: (errors > 0).then(|| "answered 503: {}".to_owned()),
            requests_per_sec: 1_234.5,
            min_micros: p95_micros / 4,
            avg_micros: p95_micros / 2,
            p50_micros: p95_micros / 2,
            p95_micros,
            p99_micros: p95_micros * 2,
            max_micros: p95_micros * 3,
            cache_hits_percent: 99.5,
            generator_busy_percent: 33.25,
            other_work_percent: Some(2.5),
        }
    }

    /// A run with these endpoints.
    pub fn report(endpoints: Vec<Measured>) -> Report {
        Report {
            format: FORMAT,
            command: "cargo bench".to_owned(),
            machine: Machine {
                cores: 2,
                operating_system: "linux".to_owned(),
                architecture: "x86_64".to_owned(),
                date: "2026-01-02T03:04:05.000000Z".to_owned(),
                commit: Some("0123456789ab".to_owned()),
            },
            parameters: Parameters {
                endpoint: "all".to_owned(),
                iterations: 1_000,
                warmup_iterations: 100,
                concurrency: 16,
                members: 20,
                transactions: 10_000,
                subscriptions: 50,
            },
            endpoints,
        }
    }

    #[test]
    fn the_text_has_every_row() {
        let text = report(vec![
            measured("credits-balance", 1_500, 0),
            measured("credit-pool", 20_000, 3),
        ])
        .to_text();
        for part in [
            "credits-balance",
            "1,234",
            "1.50",
            "20.0",
            "4.50",
            "10,000 transactions",
            "ERROR credit-pool: answered 503",
        ] {
            assert!(text.contains(part), "{part:?} is missing from\n{text}");
        }
    }

    #[test]
    fn errors_are_seen() {
        for (errors, expected) in [([0, 0], true), ([0, 1], false), ([2, 0], false)] {
            let endpoints = errors.map(|errors| measured("a", 1, errors)).to_vec();
            assert_eq!(
                report(endpoints).is_free_of_errors(),
                expected,
                "{errors:?}"
            );
        }
    }

    #[test]
    fn doubtful_rows_are_marked() {
        for (generator, other, expected) in [
            (50.0, None, 0),
            (50.0, Some(10.0), 0),
            (91.0, Some(3.0), 1),
            (91.0, Some(40.0), 2),
        ] {
            let mut one = measured("a", 1, 0);
            one.generator_busy_percent = generator;
            one.other_work_percent = other;
            let notes = report(vec![one]).to_text().matches("note: a").count();
            assert_eq!(
                notes, expected,
                "{generator}% generator, {other:?} other work"
            );
        }
    }

    #[test]
    fn json_and_back() {
        let mut failed = measured("b", 0, 1_000);
        failed.other_work_percent = None;
        let mut report = report(vec![measured("a", 1_500, 0), failed]);
        report.machine.commit = None;
        let json = serde_json::to_string_pretty(&report).expect("a report is JSON");
        let back: Report = serde_json::from_str(&json).expect("and can be read back");
        assert_eq!(back, report);
    }
}
