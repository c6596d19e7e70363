//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use crate::load::arguments::seconds_within;

/// Runs every benchmark that has a target for a short time: six minutes or so in all.
#[derive(Debug, Parser)]
#[command(name = "all")]
pub struct Arguments {
    /// Seconds of one measurement of a route; what takes longer or less by its nature is measured
    /// for a multiple of it
    #[arg(long, default_value = "3", value_parser = seconds)]
    pub seconds: Duration,
    /// Events of usage that are stored for the summaries; 20,000,000 take some 5 GB and some minutes
    #[arg(long, value_name = "COUNT", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(10_000..=100_000_000))]
    pub events: u64,
    /// Writes docs/performance.json and docs/performance.md
    #[arg(long)]
    pub write: bool,
    /// Also writes the figures to this file; a relative path starts at the project's root
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Fails if a p95 of the wasm host exceeds that in this file, written by --json or --write
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
    /// By how many percent it may
    #[arg(long, value_name = "PERCENT", default_value_t = 25)]
    pub max_regression_percent: u32,
    /// What `cargo bench` adds by itself
    #[arg(long, hide = true)]
    bench: bool,
}

/// A time between half a second and a minute.
fn seconds(text: &str) -> Result<Duration, String> {
    seconds_within(text, 0.5, 60.0)
}
