//! The figures: as a table, as bars, as JSON, and against those of an earlier run.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

/// Rises when a file written by an older version can no longer be compared with.
pub const FORMAT: u32 = 1;

/// Characters of the longest bar.
const BAR_CHARS: f64 = 50.0;

/// A generator that computed for more than this share of the time may have been what was
/// measured, and its row is marked.
const BUSY_PERCENT: f64 = 90.0;

/// A machine that is busier than this with other work measures that work. Idle servers and the
/// operating system stay below 5.
const OTHER_WORK_PERCENT: f64 = 10.0;

/// Bytes a function's .wasm may have at most, by the project's design.
const MAX_FUNCTION_BYTES: u64 = 600_000;

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

/// One route on both servers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    /// What was asked for.
    pub route: String,
    /// By the wasm host.
    pub wasm: Measurement,
    /// By the native baseline.
    pub native: Measurement,
}

/// A route when every request meets a fresh instance.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ColdStart {
    /// What was asked for.
    pub route: String,
    /// By the wasm host.
    pub wasm: Measurement,
}

/// What one server did on one route.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Measurement {
    /// Responses within the measured time.
    pub requests: u64,
    /// Those in a second.
    pub requests_per_sec: f64,
    /// The median latency.
    pub p50_micros: u64,
    /// The latency that 95 of 100 do not exceed.
    pub p95_micros: u64,
    /// The latency that 99 of 100 do not exceed.
    pub p99_micros: u64,
    /// The longest.
    pub max_micros: u64,
    /// The share of the time that the load generator's thread computed.
    pub generator_busy_percent: f64,
    /// How busy the machine was just before or just after, whichever is more, when nothing of
    /// ours ran; where it can be told.
    pub other_work_percent: Option<f64>,
}

/// A component's size.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Function {
    /// The component's id.
    pub id: String,
    /// The size of its .wasm.
    pub wasm_bytes: u64,
}

impl Report {
    /// The report for people.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write_text(&mut text);
        text
    }

    fn write_text(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "{}", self.command)?;
        writeln!(
            out,
            "{} cores for server, Postgres (durable) and load; {} connections, {} s of warm-up, {} s measured; latencies in ms\n",
            self.cores, self.connections, self.warmup_secs, self.measured_secs
        )?;
        let width = self.route_width();
        writeln!(
            out,
            "{:width$} | {:^43} | {:^43} | wasm /",
            "", "wasm host", "native baseline"
        )?;
        let columns = format!(
            "{:>9} {:>7} {:>7} {:>7} {:>9}",
            "req/s", "p50", "p95", "p99", "max"
        );
        writeln!(out, "{:width$} | {columns} | {columns} | native", "route")?;
        for row in &self.rows {
            let ratio = 100.0 * row.wasm.requests_per_sec / row.native.requests_per_sec;
            writeln!(
                out,
                "{:width$} | {} | {} | {ratio:>5.0}%",
                row.route,
                columns_of(&row.wasm),
                columns_of(&row.native)
            )?;
        }
        for row in &self.rows {
            for (server, measured) in [("wasm host", &row.wasm), ("native baseline", &row.native)] {
                if let Some(percent) = measured.other_work_percent
                    && percent > OTHER_WORK_PERCENT
                {
                    writeln!(
                        out,
                        "note: {}, {server}: the machine was {percent:.0}% busy with other work; do not trust this row",
                        row.route
                    )?;
                }
                if measured.generator_busy_percent > BUSY_PERCENT {
                    writeln!(
                        out,
                        "note: {}, {server}: the load generator was busy for {:.0}% of the time; the server may reach more",
                        row.route, measured.generator_busy_percent
                    )?;
                }
            }
        }

        writeln!(out, "\nreq/s, each pair to its own scale")?;
        for row in &self.rows {
            let longest = row.wasm.requests_per_sec.max(row.native.requests_per_sec);
            for (server, route, measured) in [
                ("wasm", row.route.as_str(), &row.wasm),
                ("native", "", &row.native),
            ] {
                writeln!(
                    out,
                    "{route:width$} {server:6} {} {}",
                    bar(measured.requests_per_sec, longest),
                    grouped(measured.requests_per_sec)
                )?;
            }
        }

        writeln!(
            out,
            "\ncold start: every request meets a fresh instance, one at a time; ms"
        )?;
        for cold in &self.cold_starts {
            writeln!(
                out,
                "{:width$} p50 {:>7}  p99 {:>7}  max {:>7}",
                cold.route,
                millis(cold.wasm.p50_micros),
                millis(cold.wasm.p99_micros),
                millis(cold.wasm.max_micros)
            )?;
        }

        writeln!(out, "\nfunctions, KB of .wasm")?;
        for function in &self.functions {
            let too_large = if function.wasm_bytes > MAX_FUNCTION_BYTES {
                "  above the limit of 600"
            } else {
                ""
            };
            writeln!(
                out,
                "{:width$} {:>7}{too_large}",
                function.id,
                function.wasm_bytes.div_ceil(1_000)
            )?;
        }
        Ok(())
    }

    fn route_width(&self) -> usize {
        let routes = self.rows.iter().map(|row| row.route.len());
        routes.max().unwrap_or_default()
    }

    /// What the wasm host does slower than in `baseline`, by p95, and what could not be compared.
    pub fn compare(&self, baseline: &Self, max_regression_percent: u32) -> Comparison {
        let mut comparison = Comparison::default();
        if baseline.format != FORMAT {
            comparison.regressions.push(format!(
                "the baseline has format {} and not {FORMAT}: measure it again with --json",
                baseline.format
            ));
            return comparison;
        }
        if (baseline.cores, baseline.connections) != (self.cores, self.connections) {
            comparison.notes.push(format!(
                "the baseline was measured with {} cores and {} connections, this with {} and {}",
                baseline.cores, baseline.connections, self.cores, self.connections
            ));
        }
        let before: Vec<_> = baseline.wasm_p95().collect();
        for (route, now_micros) in self.wasm_p95() {
            let Some((_, before_micros)) = before.iter().find(|(name, _)| *name == route) else {
                comparison
                    .notes
                    .push(format!("{route} is not in the baseline"));
                continue;
            };
            let limit_micros =
                before_micros.saturating_mul(100 + u64::from(max_regression_percent)) / 100;
            let change = format!(
                "{route}: p95 {} ms, was {} ms",
                millis(now_micros),
                millis(*before_micros)
            );
            if now_micros > limit_micros {
                comparison.regressions.push(format!(
                    "{change}, which may grow by {max_regression_percent}% at most"
                ));
            } else {
                comparison.notes.push(change);
            }
        }
        // A row that vanished would otherwise pass for one that did not get slower.
        for (route, _) in before {
            if !self.wasm_p95().any(|(name, _)| name == route) {
                comparison
                    .regressions
                    .push(format!("{route} is in the baseline and was not measured"));
            }
        }
        comparison
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

/// What came of comparing two runs.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Reasons to fail.
    pub regressions: Vec<String>,
    /// Everything else worth knowing.
    pub notes: Vec<String>,
}

fn columns_of(measured: &Measurement) -> String {
    format!(
        "{:>9} {:>7} {:>7} {:>7} {:>9}",
        grouped(measured.requests_per_sec),
        millis(measured.p50_micros),
        millis(measured.p95_micros),
        millis(measured.p99_micros),
        millis(measured.max_micros)
    )
}

/// Milliseconds to three digits or so.
fn millis(micros: u64) -> String {
    let whole = micros / 1_000;
    if whole < 10 {
        format!("{whole}.{:02}", micros % 1_000 / 10)
    } else {
        format!("{whole}.{}", micros % 1_000 / 100)
    }
}

/// A whole number with its thousands apart.
fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn bar(value: f64, longest: f64) -> String {
    let chars = (BAR_CHARS * value / longest).round();
    // Something is drawn for whatever is not nothing.
    "#".repeat((chars as usize).max(1))
}

#[cfg(test)]
#[allow(
    dead_code,
    unused_imports,
    reason = "cargo sets cfg(test) for a benchmark too, whose own main replaces the test harness"
)]
mod tests {
    use super::*;

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
    fn regressions() {
        let baseline = report(&[("a", 1_000), ("b", 2_000)]);
        for (rows, percent, expected) in [
            (&[("a", 1_000), ("b", 2_000)][..], 0, &[][..]),
            (&[("a", 1_250), ("b", 500)], 25, &[]),
            (
                &[("a", 1_251), ("b", 2_000)],
                25,
                &["a: p95 1.25 ms, was 1.00 ms"],
            ),
            (&[("a", 1_001), ("b", 2_001)], 0, &["a: p95", "b: p95"]),
            (&[("a", 1_000)], 25, &["b is in the baseline"]),
            (&[("a", 1_000), ("b", 2_000), ("c", 9_000)], 25, &[]),
        ] {
            let got = report(rows).compare(&baseline, percent).regressions;
            let same = got.len() == expected.len()
                && got
                    .iter()
                    .zip(expected)
                    .all(|(got, start)| got.starts_with(start));
            assert!(
                same,
                "{rows:?} with {percent}% gave {got:?}, and not {expected:?}"
            );
        }
        let mut old = baseline.clone();
        old.format = 0;
        assert_eq!(
            baseline.compare(&old, 25).regressions.len(),
            1,
            "a file of another format must be refused"
        );
    }

    #[test]
    fn other_machines_are_noted() {
        let mut baseline = report(&[("a", 1)]);
        baseline.cores = 64;
        let notes = report(&[("a", 1)]).compare(&baseline, 25).notes;
        assert!(
            notes.iter().any(|note| note.contains("64 cores")),
            "a baseline of another machine must be pointed out: {notes:?}"
        );
    }

    #[test]
    fn doubtful_rows_are_marked() {
        for (generator, other_work, expected) in [
            (50.0, None, 0),
            (50.0, Some(3.0), 0),
            (95.0, Some(3.0), 1),
            (50.0, Some(40.0), 1),
            (95.0, Some(40.0), 2),
        ] {
            let mut report = report(&[("a", 1)]);
            report.rows[0].wasm.generator_busy_percent = generator;
            report.rows[0].wasm.other_work_percent = other_work;
            let text = report.to_text();
            let notes = text
                .lines()
                .filter(|line| line.starts_with("note: a, wasm"));
            assert_eq!(
                notes.count(),
                expected,
                "{generator}% generator, {other_work:?}% other work\n{text}"
            );
        }
    }

    #[test]
    fn numbers_for_people() {
        for (micros, expected) in [
            (0, "0.00"),
            (94, "0.09"),
            (1_005, "1.00"),
            (9_999, "9.99"),
            (10_050, "10.0"),
            (123_456, "123.4"),
        ] {
            assert_eq!(millis(micros), expected, "{micros} microseconds");
        }
        for (number, expected) in [
            (0.4, "0"),
            (999.0, "999"),
            (1_000.0, "1,000"),
            (157_000.0, "157,000"),
            (1_234_567.0, "1,234,567"),
        ] {
            assert_eq!(grouped(number), expected);
        }
        assert_eq!(bar(1.0, 2.0).len(), 25);
        assert_eq!(bar(0.001, 2.0).len(), 1, "the smallest bar is seen too");
    }

    #[test]
    fn the_text_has_every_row_and_survives_json() {
        let report = report(&[("GET a", 1_500), ("POST b", 2_500)]);
        let text = report.to_text();
        for part in [
            "GET a", "POST b", "1.50", "2.50", "1,234", "100%", "2 cores",
        ] {
            assert!(text.contains(part), "{part:?} is missing from\n{text}");
        }
        let json = serde_json::to_string(&report).expect("a report is JSON");
        let back: Report = serde_json::from_str(&json).expect("and can be read back");
        assert_eq!(back.to_text(), text);
    }
}
