//! The figures: as tables and as JSON.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use crate::load::comparison::Compared;
use crate::load::figures::{
    Figures, Function, HEADS, Measurement, doubts, figures_of, function_sizes, millis, share,
};
use crate::load::table::Table;

/// Rises when a file written by an older version can no longer be compared with.
pub const FORMAT: u32 = 1;

/// The share of bare Argon2id's rate that sign-ins must reach, in percent.
const LOGIN_TARGET_PERCENT: f64 = 85.0;

/// By how much the medians for known and unknown emails may differ, in percent.
const TIMING_TARGET_PERCENT: f64 = 5.0;

/// Everything that one run measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// [`FORMAT`].
    pub format: u32,
    /// The command that was given.
    pub command: String,
    /// Processor cores, which the server, Postgres and the load generator share.
    pub cores: usize,
    /// Connections that asked for introspection.
    pub connections: usize,
    /// Seconds of load before each measurement.
    pub warmup_secs: f64,
    /// Seconds of each measurement.
    pub measured_secs: f64,
    /// Introspection from the cache.
    pub introspection: Introspection,
    /// Sign-ins beside bare hashes.
    pub logins: Vec<Login>,
    /// Refused sign-ins.
    pub timing: Timing,
    /// Bare hashes with other parameters, if they were asked for.
    pub parameters: Vec<Parameters>,
    /// What was served.
    pub functions: Vec<Function>,
}

/// Introspection on both servers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Introspection {
    /// By the wasm host.
    pub wasm: Measurement,
    /// By the native baseline.
    pub native: Measurement,
}

/// Sign-ins and bare Argon2id in wasm with as many connections.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Login {
    /// How many.
    pub connections: usize,
    /// `POST /api/v1/auth/login`.
    pub login: Measurement,
    /// One verification per request, by the same host.
    pub bare: Measurement,
}

/// How long refused sign-ins take, one at a time.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Timing {
    /// Sign-ins of each kind.
    pub attempts: usize,
    /// The median for an email that is known.
    pub known_p50_micros: u64,
    /// What 95 of 100 of those do not exceed.
    pub known_p95_micros: u64,
    /// The median for an email that nobody has.
    pub unknown_p50_micros: u64,
    /// What 95 of 100 of those do not exceed.
    pub unknown_p95_micros: u64,
}

/// Bare Argon2id in wasm.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Parameters {
    /// Memory in KiB, passes and lanes, as in `m19456-t2-p1`.
    pub parameters: String,
    /// How many connections.
    pub connections: usize,
    /// One verification per request.
    pub bare: Measurement,
}

impl Login {
    /// The share of bare Argon2id's rate that sign-ins reach, in percent.
    fn share_percent(&self) -> f64 {
        100.0 * self.login.requests_per_sec / self.bare.requests_per_sec
    }
}

impl Timing {
    /// By how much the medians differ, in percent of the one for known emails.
    fn difference_percent(&self) -> f64 {
        let difference = self.known_p50_micros.abs_diff(self.unknown_p50_micros);
        100.0 * difference as f64 / self.known_p50_micros.max(1) as f64
    }
}

impl Figures for Report {
    fn compared(&self) -> Compared {
        let introspection = (
            "introspection".to_owned(),
            self.introspection.wasm.p95_micros,
        );
        let logins = self.logins.iter().map(|row| {
            (
                format!("login, {} connections", row.connections),
                row.login.p95_micros,
            )
        });
        Compared {
            format: self.format,
            conditions: format!("{} cores and {} connections", self.cores, self.connections),
            wasm_p95: std::iter::once(introspection).chain(logins).collect(),
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
            "{} cores for server, Postgres (durable) and load; {} s of warm-up, {} s measured; latencies in ms",
            self.cores, self.warmup_secs, self.measured_secs
        )?;
        self.write_introspection(out)?;
        self.write_logins(out)?;
        self.write_timing(out)?;
        self.write_parameters(out)?;
        write!(out, "\n{}", function_sizes(&self.functions))
    }

    fn write_introspection(&self, out: &mut String) -> std::fmt::Result {
        let Introspection { wasm, native } = &self.introspection;
        let title = format!("POST auth/introspect, cached, {} conn.", self.connections);
        let mut table = Table::new([title.as_str()], HEADS.into_iter().chain(["wasm / native"]));
        let ratio = share(wasm.requests_per_sec, native.requests_per_sec);
        table.row(["wasm host"], figures_of(wasm).into_iter().chain([ratio]));
        table.row(["native baseline"], figures_of(native));
        write!(out, "\n{table}")?;
        for (server, measured) in [("wasm host", wasm), ("native baseline", native)] {
            out.write_str(&doubts("introspection", server, measured))?;
        }
        Ok(())
    }

    fn write_logins(&self, out: &mut String) -> std::fmt::Result {
        let mut table = Table::new(
            ["POST auth/login, Argon2id in wasm"],
            HEADS.into_iter().chain(["login / bare"]),
        );
        let mut notes = String::new();
        for row in &self.logins {
            let login = format!("login, {} conn.", row.connections);
            let bare = format!("bare hash, {} conn.", row.connections);
            let share_percent = row.share_percent();
            let share = format!("{share_percent:.1}%");
            table.row(
                [login.as_str()],
                hash_figures_of(&row.login).into_iter().chain([share]),
            );
            table.row([bare.as_str()], hash_figures_of(&row.bare));
            if share_percent < LOGIN_TARGET_PERCENT {
                writeln!(
                    notes,
                    "note: {login}: below the target of {LOGIN_TARGET_PERCENT:.0}% of bare hashes"
                )?;
            }
            notes.write_str(&doubts(&login, "wasm host", &row.login))?;
            notes.write_str(&doubts(&bare, "wasm host", &row.bare))?;
        }
        write!(out, "\n{table}{notes}")
    }

    fn write_timing(&self, out: &mut String) -> std::fmt::Result {
        let timing = &self.timing;
        writeln!(
            out,
            "\nrefused sign-ins, {} of each at random, one at a time",
            timing.attempts
        )?;
        let mut table = Table::new(["sign-in"], ["p50", "p95"]);
        table.row(
            ["known email, wrong password"],
            [timing.known_p50_micros, timing.known_p95_micros].map(millis),
        );
        table.row(
            ["unknown email"],
            [timing.unknown_p50_micros, timing.unknown_p95_micros].map(millis),
        );
        let difference = timing.difference_percent();
        let verdict = if difference < TIMING_TARGET_PERCENT {
            ""
        } else {
            ", which tells them apart"
        };
        writeln!(
            out,
            "{table}the medians differ by {difference:.1}%, of at most {TIMING_TARGET_PERCENT:.0}%{verdict}"
        )
    }

    fn write_parameters(&self, out: &mut String) -> std::fmt::Result {
        if self.parameters.is_empty() {
            return Ok(());
        }
        let mut table = Table::new(["bare Argon2id in wasm (KiB, passes)"], HEADS);
        let mut notes = String::new();
        for row in &self.parameters {
            let name = format!("{}, {} conn.", row.parameters, row.connections);
            table.row([name.as_str()], hash_figures_of(&row.bare));
            notes.write_str(&doubts(&name, "wasm host", &row.bare))?;
        }
        write!(out, "\n{table}{notes}")
    }
}

/// As [`figures_of`], for rates of so few that a tenth matters.
fn hash_figures_of(measured: &Measurement) -> [String; 5] {
    let [_, p50, p95, p99, max] = figures_of(measured);
    let rate = format!("{:.1}", measured.requests_per_sec);
    [rate, p50, p95, p99, max]
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

    fn measured(requests_per_sec: f64) -> Measurement {
        Measurement {
            requests: 10,
            requests_per_sec,
            p95_micros: 1_500,
            ..Measurement::default()
        }
    }

    fn report(login_rate: f64, unknown_p50_micros: u64) -> Report {
        Report {
            format: FORMAT,
            command: "cargo bench".to_owned(),
            cores: 2,
            connections: 16,
            warmup_secs: 2.0,
            measured_secs: 5.0,
            introspection: Introspection {
                wasm: measured(10_000.0),
                native: measured(40_000.0),
            },
            logins: vec![Login {
                connections: 4,
                login: measured(login_rate),
                bare: measured(100.0),
            }],
            timing: Timing {
                attempts: 200,
                known_p50_micros: 20_000,
                known_p95_micros: 25_000,
                unknown_p50_micros,
                unknown_p95_micros: 25_000,
            },
            parameters: vec![],
            functions: vec![],
        }
    }

    #[test]
    fn targets() {
        for (login_rate, unknown_p50_micros, expected) in [
            (85.0, 20_000, [false, false]),
            (84.9, 20_999, [true, false]),
            (100.0, 21_000, [false, true]),
            (100.0, 19_000, [false, true]),
        ] {
            let text = report(login_rate, unknown_p50_micros).to_text();
            let got = ["below the target", "tells them apart"].map(|note| text.contains(note));
            assert_eq!(
                got, expected,
                "{login_rate} logins/s of 100, {unknown_p50_micros} of 20000 microseconds\n{text}"
            );
        }
    }

    #[test]
    fn compares_what_the_wasm_host_does() {
        let rows = report(90.0, 20_000).compared().wasm_p95;
        let expected = [("introspection", 1_500), ("login, 4 connections", 1_500)];
        assert_eq!(rows, expected.map(|(row, p95)| (row.to_owned(), p95)));
    }

    #[test]
    fn the_text_has_every_row_and_survives_json() {
        let mut report = report(90.0, 20_100);
        report.parameters = vec![Parameters {
            parameters: "m7168-t5-p1".to_owned(),
            connections: 4,
            bare: measured(77.7),
        }];
        assert_text_survives(
            &report,
            &[
                "25%",
                "90.0%",
                "differ by 0.5%",
                "m7168-t5-p1",
                "77.7",
                "10,000",
            ],
        );
    }
}
