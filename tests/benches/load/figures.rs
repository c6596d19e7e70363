//! What is measured of a server, and how it is printed.

use std::fmt::Write;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::comparison::Compared;

use crate::load::table::Table;

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

/// Everything that one run of a benchmark measured.
pub trait Figures: Serialize + DeserializeOwned {
    /// What an earlier run is compared by.
    fn compared(&self) -> Compared;
    /// The report for people.
    fn to_text(&self) -> String;
}

/// The report's text, after a look that each part is in it and that it is the same after the way
/// through the file.
///
/// # Panics
/// When it is not, as the check of the reports' tests.
#[cfg(test)]
pub fn assert_text_survives<R: Figures>(report: &R, parts: &[&str]) -> String {
    let text = report.to_text();
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing from\n{text}");
    }
    let json = serde_json::to_string(report).expect("a report is JSON");
    let back: R = serde_json::from_str(&json).expect("and can be read back");
    assert_eq!(back.to_text(), text);
    text
}

/// What one server did on one route.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Measurement {
    /// Responses within the measured time.
    pub requests: u64,
    /// Those in a second.
    pub requests_per_sec: f64,
    /// The shortest latency; zero in a file of before it was kept.
    #[serde(default)]
    pub min_micros: u64,
    /// The mean; zero in a file of before it was kept.
    #[serde(default)]
    pub avg_micros: u64,
    /// The median latency.
    pub p50_micros: u64,
    /// The latency that 95 of 100 do not exceed.
    pub p95_micros: u64,
    /// The latency that 99 of 100 do not exceed.
    pub p99_micros: u64,
    /// The longest.
    pub max_micros: u64,
    /// Attempts that were answered 409 or 503 and sent again with the same Idempotency-Key, the
    /// warm-up's included; the latencies are those of all attempts at a request together.
    #[serde(default)]
    pub repeated: u64,
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

/// The notes that a row needs whose figures are not to be trusted.
pub fn doubts(row: &str, server: &str, measured: &Measurement) -> String {
    let mut notes = String::new();
    // Writing to a string cannot fail.
    if let Some(percent) = measured.other_work_percent
        && percent > OTHER_WORK_PERCENT
    {
        let _ = writeln!(
            notes,
            "note: {row}, {server}: the machine was {percent:.0}% busy with other work; do not trust this row"
        );
    }
    if measured.repeated > 0 {
        let _ = writeln!(
            notes,
            "note: {row}, {server}: {} attempts were answered 409 or 503, and sent again with the same key",
            measured.repeated
        );
    }
    if measured.generator_busy_percent > BUSY_PERCENT {
        let _ = writeln!(
            notes,
            "note: {row}, {server}: the load generator was busy for {:.0}% of the time; the server may reach more",
            measured.generator_busy_percent
        );
    }
    notes
}

/// The sizes of the functions, and a note for each that is too large.
pub fn function_sizes(functions: &[Function]) -> String {
    let kilobytes = |bytes: u64| grouped(bytes.div_ceil(1_000) as f64);
    let mut table = Table::new(["function"], ["KB of .wasm"]);
    for function in functions {
        table.row([function.id.as_str()], [kilobytes(function.wasm_bytes)]);
    }
    let mut text = table.to_string();
    for function in functions {
        if function.wasm_bytes > MAX_FUNCTION_BYTES {
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "note: {} is above the limit of {} KB",
                function.id,
                kilobytes(MAX_FUNCTION_BYTES)
            );
        }
    }
    text
}

/// The heads over [`figures_of`].
pub const HEADS: [&str; 5] = ["req/s", "p50", "p95", "p99", "max"];

/// The rate and the latencies of a measurement, as cells under [`HEADS`].
pub fn figures_of(measured: &Measurement) -> [String; 5] {
    let Measurement {
        requests_per_sec,
        p50_micros,
        p95_micros,
        p99_micros,
        max_micros,
        ..
    } = *measured;
    [
        grouped(requests_per_sec),
        millis(p50_micros),
        millis(p95_micros),
        millis(p99_micros),
        millis(max_micros),
    ]
}

/// A rate in percent of another.
pub fn share(rate: f64, of_rate: f64) -> String {
    format!("{:.0}%", 100.0 * rate / of_rate)
}

/// Milliseconds to three digits or so.
pub fn millis(micros: u64) -> String {
    let whole = micros / 1_000;
    if whole < 10 {
        format!("{whole}.{:02}", micros % 1_000 / 10)
    } else {
        format!("{whole}.{}", micros % 1_000 / 100)
    }
}

/// A whole number with its thousands apart.
pub fn grouped(number: f64) -> String {
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

/// A bar of at most [`BAR_CHARS`].
pub fn bar(value: f64, longest: f64) -> String {
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
    fn functions_that_are_too_large_are_marked() {
        for (wasm_bytes, kilobytes, expected) in [
            (599_001, "600", 0),
            (600_000, "600", 0),
            (600_001, "601", 1),
            (1_234_567, "1,235", 1),
        ] {
            let function = Function {
                id: "a-b".to_owned(),
                wasm_bytes,
            };
            let text = function_sizes(&[function]);
            let notes = text
                .matches("note: a-b is above the limit of 600 KB")
                .count();
            assert_eq!(notes, expected, "{wasm_bytes} bytes\n{text}");
            assert!(text.contains(kilobytes), "{wasm_bytes} bytes\n{text}");
        }
    }

    #[test]
    fn doubtful_rows_are_marked() {
        for (generator_busy_percent, other_work_percent, repeated, expected) in [
            (50.0, None, 0, 0),
            (50.0, Some(3.0), 0, 0),
            (95.0, Some(3.0), 0, 1),
            (50.0, Some(40.0), 0, 1),
            (95.0, Some(40.0), 0, 2),
            (95.0, Some(40.0), 1, 3),
        ] {
            let measured = Measurement {
                repeated,
                generator_busy_percent,
                other_work_percent,
                ..Measurement::default()
            };
            let notes = doubts("a", "wasm host", &measured);
            assert_eq!(
                notes.lines().count(),
                expected,
                "{generator_busy_percent}% generator, {other_work_percent:?}% other work, {repeated} repeated\n{notes}"
            );
        }
    }
}
