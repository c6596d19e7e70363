//! Figures against those of an earlier run, endpoint by endpoint.

use std::fmt::Write;
use std::time::Duration;

use crate::load::figures::millis;

use super::report::Report;

/// The colours of a terminal, by their escape sequences.
const RED: &str = "\u{1b}[31m";
const GREEN: &str = "\u{1b}[32m";
const PLAIN: &str = "\u{1b}[0m";

/// When a p95 that grew is a regression: when it grew by more than both.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// The share that it may grow by.
    pub max_regression_percent: u32,
    /// What it may grow by in any case. A p95 of half a millisecond grows by a fifth when one
    /// request in twenty waits a tenth of a millisecond longer for a core, which says nothing.
    pub min_regression: Duration,
}

/// What became of one endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It became slower by more than the rule allows.
    Regressed,
    /// It became slower, but not by so much.
    Slower,
    /// It is as fast as it was, or faster.
    NotSlower,
    /// The baseline lacks it, or has no success of it.
    New,
    /// It is in the baseline and has no success now, or was left out.
    NotMeasured,
}

/// One endpoint, now and then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its name.
    pub endpoint: String,
    /// The p95 now.
    pub now_micros: Option<u64>,
    /// The baseline's.
    pub before_micros: Option<u64>,
    /// What to think of it.
    pub verdict: Verdict,
}

/// What came of comparing two runs.
#[derive(Debug, Default)]
pub struct Comparison {
    /// Endpoint by endpoint.
    pub changes: Vec<Change>,
    /// Why the figures may not be comparable.
    pub notes: Vec<String>,
    /// Whether an endpoint that the baseline has is missing, and was not left out on purpose.
    pub is_incomplete: bool,
}

/// Compares the p95 of each endpoint.
///
/// # Errors
/// The baseline has another format.
pub fn compare(now: &Report, before: &Report, rule: Rule) -> Result<Comparison, String> {
    if now.format != before.format {
        return Err(format!(
            "the baseline has format {} and not {}: measure it again with --json",
            before.format, now.format
        ));
    }
    let mut comparison = Comparison::default();
    for ((name, now), (_, before)) in conditions(now).into_iter().zip(conditions(before)) {
        if now != before {
            comparison.notes.push(format!(
                "the baseline was measured with {before} {name}, this with {now}"
            ));
        }
    }
    for measured in &now.endpoints {
        let now_micros = p95(now, &measured.endpoint);
        let before_micros = p95(before, &measured.endpoint);
        let verdict = judge(now_micros, before_micros, rule);
        comparison.is_incomplete |= verdict == Verdict::NotMeasured;
        comparison.changes.push(Change {
            endpoint: measured.endpoint.clone(),
            now_micros,
            before_micros,
            verdict,
        });
    }
    // An endpoint that vanished would otherwise pass for one that did not get slower.
    for measured in &before.endpoints {
        if !now
            .endpoints
            .iter()
            .any(|one| one.endpoint == measured.endpoint)
        {
            comparison.is_incomplete |= now.parameters.endpoint == "all";
            comparison.changes.push(Change {
                endpoint: measured.endpoint.clone(),
                now_micros: None,
                before_micros: p95(before, &measured.endpoint),
                verdict: Verdict::NotMeasured,
            });
        }
    }
    Ok(comparison)
}

/// What must be alike for figures to be.
fn conditions(report: &Report) -> [(&'static str, u64); 7] {
    let Report {
        machine,
        parameters,
        ..
    } = report;
    [
        ("cores", machine.cores as u64),
        ("iterations", parameters.iterations),
        ("iterations of warm-up", parameters.warmup_iterations),
        ("requests at a time", parameters.concurrency as u64),
        ("members", parameters.members as u64),
        ("transactions", parameters.transactions as u64),
        ("subscriptions", parameters.subscriptions as u64),
    ]
}

/// The p95 of an endpoint's successes, if it had any.
fn p95(report: &Report, endpoint: &str) -> Option<u64> {
    let measured = report
        .endpoints
        .iter()
        .find(|one| one.endpoint == endpoint)?;
    (measured.successes > 0).then_some(measured.p95_micros)
}

fn judge(now: Option<u64>, before: Option<u64>, rule: Rule) -> Verdict {
    let (now, before) = match (now, before) {
        (Some(now), Some(before)) => (now, before),
        (Some(_), None) => return Verdict::New,
        (None, _) => return Verdict::NotMeasured,
    };
    let grown = now.saturating_sub(before);
    // Of whole numbers, so that a limit of 0% is exact.
    let is_beyond_share =
        u128::from(grown) * 100 > u128::from(before) * u128::from(rule.max_regression_percent);
    let is_beyond_noise = u128::from(grown) > rule.min_regression.as_micros();
    match grown {
        0 => Verdict::NotSlower,
        _ if is_beyond_share && is_beyond_noise => Verdict::Regressed,
        _ => Verdict::Slower,
    }
}

impl Comparison {
    /// Whether the run is as good as the baseline.
    pub fn is_passed(&self) -> bool {
        let mut verdicts = self.changes.iter().map(|change| change.verdict);
        !self.is_incomplete && verdicts.all(|verdict| verdict != Verdict::Regressed)
    }

    /// The table for people; with escape sequences if `is_coloured`.
    pub fn to_text(&self, is_coloured: bool) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write_text(&mut text, is_coloured);
        text
    }

    fn write_text(&self, out: &mut String, is_coloured: bool) -> std::fmt::Result {
        for note in &self.notes {
            writeln!(out, "note: {note}")?;
        }
        let width = self.changes.iter().map(|change| change.endpoint.len());
        let width = width.max().unwrap_or_default().max("p95, ms".len());
        writeln!(
            out,
            "{:width$} {:>9} {:>9} {:>9}",
            "p95, ms", "baseline", "now", "change"
        )?;
        for change in &self.changes {
            let (colour, remark) = match change.verdict {
                Verdict::Regressed => (RED, "  REGRESSION"),
                Verdict::NotMeasured => (RED, "  not measured"),
                Verdict::Slower => ("", ""),
                Verdict::NotSlower => (GREEN, ""),
                Verdict::New => ("", "  not in the baseline"),
            };
            let (colour, plain) = if is_coloured && !colour.is_empty() {
                (colour, PLAIN)
            } else {
                ("", "")
            };
            let shown = |micros: Option<u64>| micros.map_or_else(|| "-".to_owned(), millis);
            writeln!(
                out,
                "{colour}{:width$} {:>9} {:>9} {:>9}{remark}{plain}",
                change.endpoint,
                shown(change.before_micros),
                shown(change.now_micros),
                change.in_percent()
            )?;
        }
        Ok(())
    }
}

impl Change {
    fn in_percent(&self) -> String {
        match (self.now_micros, self.before_micros) {
            (Some(now), Some(before)) => {
                let before = before.max(1) as f64;
                format!("{:+.1}%", 100.0 * (now as f64 - before) / before)
            }
            _ => "-".to_owned(),
        }
    }
}

#[cfg(test)]
#[allow(
    dead_code,
    unused_imports,
    reason = "cargo sets cfg(test) for a benchmark too, whose own main replaces the test harness"
)]
mod tests {
    use super::super::report::FORMAT;
    use super::super::report::tests::{measured, report};
    use super::*;

    const fn rule(max_regression_percent: u32, min_regression_micros: u64) -> Rule {
        Rule {
            max_regression_percent,
            min_regression: Duration::from_micros(min_regression_micros),
        }
    }

    #[test]
    fn verdicts() {
        for (now, before, rule, expected) in [
            (1_000, 1_000, rule(0, 0), Verdict::NotSlower),
            (999, 1_000, rule(0, 0), Verdict::NotSlower),
            (1_001, 1_000, rule(0, 0), Verdict::Regressed),
            // By more than a fifth, and by more than a millisecond.
            (12_000, 10_000, rule(20, 1_000), Verdict::Slower),
            (12_001, 10_000, rule(20, 1_000), Verdict::Regressed),
            // By much more than a fifth, but by a millisecond at most.
            (1_500, 500, rule(20, 1_000), Verdict::Slower),
            (1_501, 500, rule(20, 1_000), Verdict::Regressed),
            // By many milliseconds, but by less than a fifth.
            (1_100_000, 1_000_000, rule(20, 1_000), Verdict::Slower),
            (u64::MAX, 1, rule(20, 1_000), Verdict::Regressed),
            (u64::MAX, u64::MAX, rule(u32::MAX, 0), Verdict::NotSlower),
        ] {
            let got = judge(Some(now), Some(before), rule);
            assert_eq!(got, expected, "{now} after {before} by {rule:?}");
        }
        assert_eq!(judge(Some(1), None, rule(0, 0)), Verdict::New);
        assert_eq!(judge(None, Some(1), rule(0, 0)), Verdict::NotMeasured);
        assert_eq!(judge(None, None, rule(0, 0)), Verdict::NotMeasured);
    }

    #[test]
    fn runs() {
        let baseline = report(vec![measured("a", 10_000, 0), measured("b", 20_000, 0)]);
        for (endpoints, asked, is_passed) in [
            (&[("a", 10_000), ("b", 20_000)][..], "all", true),
            (&[("a", 5_000), ("b", 24_000)], "all", true),
            (&[("a", 5_000), ("b", 24_001)], "all", false),
            (&[("a", 10_000), ("b", 20_000), ("c", 90_000)], "all", true),
            // Left out by a command for one endpoint, or vanished.
            (&[("a", 10_000)], "a", true),
            (&[("a", 10_000)], "all", false),
        ] {
            let rows = endpoints.iter().map(|(name, p95)| measured(name, *p95, 0));
            let mut now = report(rows.collect());
            now.parameters.endpoint = asked.to_owned();
            let comparison = compare(&now, &baseline, rule(20, 1_000)).expect("one format");
            assert_eq!(
                comparison.is_passed(),
                is_passed,
                "{asked}: {endpoints:?}\n{}",
                comparison.to_text(false)
            );
        }
    }

    #[test]
    fn an_endpoint_without_a_success_does_not_pass() {
        let baseline = report(vec![measured("a", 10_000, 0)]);
        let mut failed = measured("a", 0, 1_000);
        failed.successes = 0;
        let now = report(vec![failed]);
        let comparison = compare(&now, &baseline, rule(20, 1_000)).expect("one format");
        assert!(!comparison.is_passed(), "{}", comparison.to_text(false));
        // The other way round there is nothing to compare with.
        let comparison = compare(&baseline, &now, rule(20, 1_000)).expect("one format");
        assert!(comparison.is_passed(), "{}", comparison.to_text(false));
    }

    #[test]
    fn the_text() {
        let baseline = report(vec![measured("a", 10_000, 0), measured("b", 10_000, 0)]);
        let now = report(vec![measured("a", 8_000, 0), measured("b", 12_500, 0)]);
        let comparison = compare(&now, &baseline, rule(20, 1_000)).expect("one format");
        let plain = comparison.to_text(false);
        for part in ["10.0", "8.00", "-20.0%", "+25.0%", "REGRESSION"] {
            assert!(plain.contains(part), "{part:?} is missing from\n{plain}");
        }
        assert!(!plain.contains('\u{1b}'), "{plain:?}");
        let coloured = comparison.to_text(true);
        assert!(
            coloured.contains("\u{1b}[32ma") && coloured.contains("\u{1b}[31mb"),
            "{coloured:?}"
        );
        let uncoloured = [RED, GREEN, PLAIN]
            .into_iter()
            .fold(coloured, |text, escape| text.replace(escape, ""));
        assert_eq!(uncoloured, plain, "colours change no text");
    }

    #[test]
    fn other_conditions_are_noted_and_another_format_is_refused() {
        let now = report(vec![measured("a", 1, 0)]);
        let mut baseline = now.clone();
        baseline.machine.cores = 64;
        baseline.parameters.iterations = 7;
        baseline.parameters.concurrency = 1;
        let comparison = compare(&now, &baseline, rule(20, 1_000)).expect("one format");
        assert_eq!(comparison.notes.len(), 3, "{:?}", comparison.notes);
        baseline.format = FORMAT + 1;
        let refused = compare(&now, &baseline, rule(20, 1_000));
        assert!(refused.is_err(), "a file of another format must be refused");
    }
}
