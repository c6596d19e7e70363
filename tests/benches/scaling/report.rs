//! The figures: as tables and as JSON.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use crate::load::figures::{grouped, millis};
use crate::load::machine::Machine;
use crate::load::table::Table;

/// Rises when a file written by an older version can no longer be compared with.
pub const FORMAT: u32 = 1;

/// Accounts that the projection is for.
const PROJECTED_ACCOUNTS: [u64; 2] = [10_000, 50_000];

/// The share of a core that is planned for: the rest is for hours that are busier than planned.
const PLANNED_SHARE: f64 = 0.7;

/// Everything that one run measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// [`FORMAT`].
    pub format: u32,
    /// The command that was given.
    pub command: String,
    /// What it ran on.
    pub machine: Machine,
    /// Users, who do not pause.
    pub users: usize,
    /// Seconds of each measurement.
    pub measured_secs: f64,
    /// One for each number of hosts.
    pub rows: Vec<Row>,
    /// Of the accounts in the projection, how many in a hundred are used at once.
    pub active_percent: u8,
    /// Requests a minute of such an account.
    pub requests_per_minute: u16,
}

/// What so many hosts did.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Row {
    /// How many.
    pub hosts: usize,
    /// Answers in a second, of all hosts.
    pub requests_per_sec: f64,
    /// Requests that failed.
    pub errors: u64,
    /// The median latency.
    pub p50_micros: u64,
    /// What 95 of 100 do not exceed.
    pub p95_micros: u64,
    /// What 99 of 100 do not exceed.
    pub p99_micros: u64,
    /// Answers from the cache in percent of those that looked there.
    pub hits_percent: Option<f64>,
    /// Processor time of the hosts for a request, where it can be told.
    pub host_micros_per_request: Option<f64>,
    /// The same of Postgres.
    pub postgres_micros_per_request: Option<f64>,
    /// Memory of the hosts at the end, all together.
    pub host_resident_bytes: Option<u64>,
    /// What held them back.
    pub bottleneck: String,
}

impl Row {
    /// Processor time of hosts and Postgres for a request.
    fn micros_per_request(&self) -> Option<f64> {
        Some(self.host_micros_per_request? + self.postgres_micros_per_request?)
    }
}

impl Report {
    /// The report for people.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write_text(&mut text);
        text
    }

    /// Whether every request was answered as it should be.
    pub fn is_free_of_errors(&self) -> bool {
        self.rows.iter().all(|row| row.errors == 0)
    }

    fn write_text(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "{}", self.command)?;
        writeln!(out, "{}", self.machine.to_line())?;
        writeln!(
            out,
            "{} users without pauses, {} s measured; one Postgres, one Redis, and the load on the same cores; latencies in ms\n",
            self.users, self.measured_secs
        )?;
        let one = self.rows.iter().find(|row| row.hosts == 1);
        let mut table = Table::new(
            ["hosts"],
            [
                "req/s",
                "p50",
                "p95",
                "p99",
                "hits",
                "errors",
                "efficiency",
                "host us/req",
                "Postgres us/req",
                "MB",
            ],
        );
        for row in &self.rows {
            let efficiency = one.map(|one| {
                let fair = one.requests_per_sec * row.hosts as f64;
                format!("{:.0}%", 100.0 * row.requests_per_sec / fair)
            });
            let micros = |micros: Option<f64>| micros.map(|micros| format!("{micros:.0}"));
            let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
            table.row(
                [row.hosts.to_string().as_str()],
                [
                    grouped(row.requests_per_sec),
                    millis(row.p50_micros),
                    millis(row.p95_micros),
                    millis(row.p99_micros),
                    or_dash(row.hits_percent.map(|hits| format!("{hits:.1}%"))),
                    row.errors.to_string(),
                    or_dash(efficiency),
                    or_dash(micros(row.host_micros_per_request)),
                    or_dash(micros(row.postgres_micros_per_request)),
                    or_dash(
                        row.host_resident_bytes
                            .map(|bytes| grouped(bytes as f64 / 1e6)),
                    ),
                ],
            );
        }
        write!(out, "{table}")?;
        for row in &self.rows {
            writeln!(out, "{} hosts: {}", row.hosts, row.bottleneck)?;
        }
        self.write_projection(out)
    }

    fn write_projection(&self, out: &mut String) -> std::fmt::Result {
        let dearest = self.rows.iter().filter_map(Row::micros_per_request);
        let Some(dearest) = dearest.reduce(f64::max) else {
            return writeln!(out, "\nnothing is projected: this system has no /proc");
        };
        writeln!(
            out,
            "\nprojected, if {}% of the accounts are used at once with {} requests a minute each, if a request costs \
             {dearest:.0} us of processor time as in the dearest row above however many accounts there are, and \
             with cores busy for {:.0}% of the time; measured was {} accounts",
            self.active_percent,
            self.requests_per_minute,
            100.0 * PLANNED_SHARE,
            self.users
        )?;
        let mut table = Table::new(["accounts"], ["req/s", "cores"]);
        for accounts in PROJECTED_ACCOUNTS {
            let active = accounts as f64 * f64::from(self.active_percent) / 100.0;
            let rate = active * f64::from(self.requests_per_minute) / 60.0;
            let cores = rate * dearest / 1e6 / PLANNED_SHARE;
            table.row(
                [grouped(accounts as f64).as_str()],
                [grouped(rate), format!("{cores:.1}")],
            );
        }
        write!(out, "{table}")
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

    fn report(cost: Option<f64>) -> Report {
        let row = |hosts: usize, requests_per_sec: f64| Row {
            hosts,
            requests_per_sec,
            p95_micros: 12_300,
            hits_percent: Some(97.25),
            host_micros_per_request: cost.map(|cost| cost * hosts as f64),
            postgres_micros_per_request: cost,
            bottleneck: "the processor".to_owned(),
            ..Row::default()
        };
        Report {
            format: FORMAT,
            command: "cargo turnpike bench scaling".to_owned(),
            machine: Machine {
                cores: 2,
                operating_system: "linux".to_owned(),
                architecture: "x86_64".to_owned(),
                date: "2026-01-02T03:04:05Z".to_owned(),
                commit: None,
            },
            users: 64,
            measured_secs: 10.0,
            rows: vec![row(1, 1_000.0), row(2, 1_500.0)],
            active_percent: 10,
            requests_per_minute: 60,
        }
    }

    #[test]
    fn efficiency_and_projection() {
        let text = report(Some(100.0)).to_text();
        // 10,000 accounts: 1,000 req/s x 300 us / 0.7.
        for part in [
            "100%", "75%", "12.3", "97.2%", "300 us", "0.4", "2.1", "50,000", "5,000",
        ] {
            assert!(text.contains(part), "{part:?} is missing from\n{text}");
        }
        let text = report(None).to_text();
        assert!(text.contains("nothing is projected"), "{text}");
    }

    #[test]
    fn errors_are_seen() {
        let mut report = report(None);
        assert!(report.is_free_of_errors(), "there are none");
        report.rows[1].errors = 1;
        assert!(!report.is_free_of_errors(), "there is one");
    }
}
