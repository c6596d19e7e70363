//! Figures against those of an earlier run.

use crate::load::figures::millis;

/// What came of comparing two runs.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Reasons to fail.
    pub regressions: Vec<String>,
    /// Everything else worth knowing.
    pub notes: Vec<String>,
}

impl Comparison {
    /// Prints both.
    pub fn print(&self) {
        println!("\nagainst the baseline");
        for note in &self.notes {
            println!("  {note}");
        }
        for regression in &self.regressions {
            println!("  REGRESSION {regression}");
        }
    }
}

/// What two runs are compared by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// Rises when a file written by an older version can no longer be compared with.
    pub format: u32,
    /// What must be alike for the figures to be: the machine, the connections.
    pub conditions: String,
    /// The p95 of each row of the wasm host, in microseconds.
    pub wasm_p95: Vec<(String, u64)>,
}

/// What the wasm host does slower than before, by p95, and what could not be compared.
pub fn compare(now: &Compared, before: &Compared, max_regression_percent: u32) -> Comparison {
    let mut comparison = Comparison::default();
    if before.format != now.format {
        comparison.regressions.push(format!(
            "the baseline has format {} and not {}: measure it again with --json",
            before.format, now.format
        ));
        return comparison;
    }
    if before.conditions != now.conditions {
        comparison.notes.push(format!(
            "the baseline was measured with {}, this with {}",
            before.conditions, now.conditions
        ));
    }
    for (row, now_micros) in &now.wasm_p95 {
        let Some((_, before_micros)) = before.wasm_p95.iter().find(|(name, _)| name == row) else {
            comparison
                .notes
                .push(format!("{row} is not in the baseline"));
            continue;
        };
        let limit_micros =
            before_micros.saturating_mul(100 + u64::from(max_regression_percent)) / 100;
        let change = format!(
            "{row}: p95 {} ms, was {} ms",
            millis(*now_micros),
            millis(*before_micros)
        );
        if *now_micros > limit_micros {
            comparison.regressions.push(format!(
                "{change}, which may grow by {max_regression_percent}% at most"
            ));
        } else {
            comparison.notes.push(change);
        }
    }
    // A row that vanished would otherwise pass for one that did not get slower.
    for (row, _) in &before.wasm_p95 {
        if !now.wasm_p95.iter().any(|(name, _)| name == row) {
            comparison
                .regressions
                .push(format!("{row} is in the baseline and was not measured"));
        }
    }
    comparison
}

#[cfg(test)]
#[allow(
    dead_code,
    unused_imports,
    reason = "cargo sets cfg(test) for a benchmark too, whose own main replaces the test harness"
)]
mod tests {
    use super::*;

    fn run(rows: &[(&str, u64)]) -> Compared {
        Compared {
            format: 1,
            conditions: "2 cores and 32 connections".to_owned(),
            wasm_p95: rows
                .iter()
                .map(|(row, p95)| ((*row).to_owned(), *p95))
                .collect(),
        }
    }

    #[test]
    fn regressions() {
        let baseline = run(&[("a", 1_000), ("b", 2_000)]);
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
            let got = compare(&run(rows), &baseline, percent).regressions;
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
            compare(&baseline, &old, 25).regressions.len(),
            1,
            "a file of another format must be refused"
        );
    }

    #[test]
    fn other_conditions_are_noted() {
        let mut baseline = run(&[("a", 1)]);
        baseline.conditions = "64 cores".to_owned();
        let notes = compare(&run(&[("a", 1)]), &baseline, 25).notes;
        assert!(
            notes.iter().any(|note| note.contains("64 cores")),
            "a baseline of another machine must be pointed out: {notes:?}"
        );
    }
}
