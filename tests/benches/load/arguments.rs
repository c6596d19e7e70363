//! What every benchmark is told on its command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

/// How long to measure, and what to do with the figures.
#[derive(Debug, Args)]
pub struct CommonArguments {
    /// Seconds of each measurement; 1 for a quick look
    #[arg(long, default_value = "5", value_parser = seconds)]
    pub seconds: Duration,
    /// Seconds of load before each measurement
    #[arg(long, default_value = "2", value_parser = seconds)]
    pub warmup_secs: Duration,
    /// Also writes the figures to this file; a relative path starts at the project's root
    #[arg(long, value_name = "PATH")]
    pub json: Option<PathBuf>,
    /// Fails if the wasm host became slower than in this file, written by --json
    #[arg(long, value_name = "BASELINE.json")]
    pub compare: Option<PathBuf>,
    /// By how many percent a p95 may exceed the baseline's
    #[arg(long, value_name = "PERCENT", default_value_t = 25)]
    pub max_regression_percent: u32,
    /// What `cargo bench` adds by itself
    #[arg(long, hide = true)]
    bench: bool,
}

/// A time between half a second and ten minutes. In less than that not all of many connections
/// have been answered for the first time.
fn seconds(text: &str) -> Result<Duration, String> {
    seconds_within(text, 0.5, 600.0)
}

/// A time within bounds, which are seconds too.
///
/// # Errors
/// What is to be given instead.
pub fn seconds_within(text: &str, least: f64, most: f64) -> Result<Duration, String> {
    let seconds: Option<f64> = text.parse().ok();
    seconds
        .filter(|seconds| (least..=most).contains(seconds))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| format!("give a number of seconds from {least} to {most}"))
}

/// The command that was given, as one can type it in the project's root: `program` with its
/// options.
pub fn command_line(program: &str) -> String {
    let given = std::env::args().skip(1);
    given
        .filter(|argument| argument != "--bench")
        .fold(program.to_owned(), |command, argument| {
            format!("{command} {argument}")
        })
}
