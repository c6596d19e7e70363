//! The figures: as a table and as JSON.

use serde::{Deserialize, Serialize};

use crate::load::table::Table;

/// The most that a rated line may take, in nanoseconds.
const TARGET_NANOS: f64 = 1_000.0;

/// Everything that one run measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// Lines of each round.
    pub lines: u32,
    /// Rounds of each kind.
    pub rounds: u16,
    /// Tiers of the charge.
    pub tiers: u32,
    /// Lines without and with their steps.
    pub rows: Vec<Row>,
}

/// One kind of line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    /// `rated` or `explained`.
    pub detail: String,
    /// The median of the rounds for one line, natively.
    pub native_nanos: f64,
    /// The same in wasm.
    pub wasm_nanos: f64,
}

/// The median of the rounds, for one line.
pub fn median_per_line(mut nanos: Vec<u64>, lines: u32) -> f64 {
    nanos.sort_unstable();
    let middle = nanos.get(nanos.len() / 2).copied().unwrap_or_default();
    middle as f64 / f64::from(lines.max(1))
}

impl Report {
    /// The table.
    pub fn to_text(&self) -> String {
        let mut table = Table::new(["lines"], ["native", "wasm", "wasm / native"]);
        for row in &self.rows {
            table.row(
                [row.detail.as_str()],
                [
                    format!("{:.0}", row.native_nanos),
                    format!("{:.0}", row.wasm_nanos),
                    format!("{:.1}x", row.wasm_nanos / row.native_nanos),
                ],
            );
        }
        let mut text = format!(
            "graduated charge with {} tiers, {} lines a round, median of {} rounds; ns per line\n\n{table}",
            self.tiers, self.lines, self.rounds
        );
        let slow = |row: &Row| row.detail == "rated" && row.wasm_nanos >= TARGET_NANOS;
        if self.rows.iter().any(slow) {
            text.push_str("a rated line takes more than the target of 1 microsecond\n");
        }
        text
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

    #[test]
    fn the_median_is_of_one_line() {
        assert_eq!(
            format!("{}", median_per_line(vec![900, 100, 200], 100)),
            "2"
        );
        assert_eq!(format!("{}", median_per_line(vec![], 0)), "0");
    }

    #[test]
    fn the_target_is_for_rated_lines_in_wasm() {
        for (detail, wasm_nanos, is_slow) in [
            ("rated", 999.0, false),
            ("rated", 1_000.0, true),
            ("explained", 5_000.0, false),
        ] {
            let report = Report {
                lines: 1,
                rounds: 1,
                tiers: 10,
                rows: vec![Row {
                    detail: detail.to_owned(),
                    native_nanos: 100.0,
                    wasm_nanos,
                }],
            };
            let text = report.to_text();
            assert_eq!(text.contains("more than the target"), is_slow, "{text}");
        }
    }
}
