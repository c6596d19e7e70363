//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use super::endpoints::Selection;

/// Measures the endpoints of an operations console, each by itself, and compares with an earlier
/// run.
#[derive(Debug, Parser)]
#[command(name = "ops-center")]
pub struct Arguments {
    /// `all`, or the name of one, as in `credits-balance`
    #[arg(long, value_name = "NAME", default_value_t = Selection::All)]
    pub endpoint: Selection,
    /// Requests that are measured of each endpoint
    #[arg(long, value_name = "COUNT", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub iterations: u64,
    /// Connections, each of which sends its next request after an answer
    #[arg(long, value_name = "COUNT", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub concurrency: u16,
    /// Also writes the figures to this file; a relative path starts at the project's root
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Also draws the latencies into this file
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// Compares each p95 with this file's, written by --json
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
    /// Fails if a p95 exceeds the baseline's by more percent
    #[arg(long, value_name = "PERCENT", default_value_t = 20)]
    pub max_regression_percent: u32,
    /// A p95 that grew by no more than this many milliseconds never fails: the default is what a
    /// wait for a busy core adds to a request by chance
    #[arg(long, value_name = "MS", default_value = "1", value_parser = millis)]
    pub min_regression_ms: Duration,
    /// What `cargo bench` adds by itself
    #[arg(long, hide = true)]
    bench: bool,
}

/// A time from nothing to a minute.
fn millis(text: &str) -> Result<Duration, String> {
    let millis: Option<f64> = text.parse().ok();
    millis
        .filter(|millis| (0.0..=60_000.0).contains(millis))
        .map(|millis| Duration::from_secs_f64(millis / 1_000.0))
        .ok_or_else(|| "give a number of milliseconds from 0 to 60000".to_owned())
}

#[cfg(test)]
#[allow(
    dead_code,
    unused_imports,
    reason = "cargo sets cfg(test) for a benchmark too, whose own main replaces the test harness"
)]
mod tests {
    use super::super::endpoints::Endpoint;
    use super::*;

    #[test]
    fn defaults() {
        let arguments = Arguments::try_parse_from(["ops-center"]).expect("nothing is required");
        assert_eq!(arguments.endpoint, Selection::All);
        assert_eq!((arguments.iterations, arguments.concurrency), (1_000, 16));
        assert_eq!(arguments.max_regression_percent, 20);
        assert_eq!(arguments.min_regression_ms, Duration::from_millis(1));
        assert!(arguments.json.is_none() && arguments.svg.is_none());
        assert!(arguments.baseline.is_none());
    }

    #[test]
    fn command_lines() {
        for (line, accepted) in [
            ("--endpoint all --iterations 1000 --concurrency 16", true),
            ("--endpoint credit-pool --bench", true),
            ("--json a.json --svg a.svg", true),
            (
                "--baseline a.json --max-regression-percent 0 --min-regression-ms 0",
                true,
            ),
            ("--min-regression-ms 0.25", true),
            ("--endpoint pool", false),
            ("--endpoint", false),
            ("--iterations 0", false),
            ("--concurrency 0", false),
            ("--concurrency 1001", false),
            ("--max-regression-percent -1", false),
            ("--min-regression-ms -1", false),
            ("--min-regression-ms NaN", false),
            ("--min-regression-ms 60001", false),
            ("all", false),
        ] {
            let words = std::iter::once("ops-center").chain(line.split(' '));
            let parsed = Arguments::try_parse_from(words);
            assert_eq!(
                parsed.is_ok(),
                accepted,
                "whether `{line}` is accepted: {:?}",
                parsed.err().map(|error| error.to_string())
            );
        }
    }

    #[test]
    fn values() {
        let line = "ops-center --endpoint credit-pool --min-regression-ms 0.25";
        let arguments = Arguments::try_parse_from(line.split(' ')).expect("it is right");
        assert_eq!(arguments.endpoint, Selection::One(Endpoint::CreditPool));
        assert_eq!(arguments.min_regression_ms, Duration::from_micros(250));
    }
}
