//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use crate::load::arguments::seconds_within;

/// Measures the personas on 1, 2, 4 and 8 hosts behind one Postgres and one Redis.
#[derive(Debug, Parser)]
#[command(name = "scaling")]
pub struct Arguments {
    /// How many hosts, one measurement for each number
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',', default_value = "1,2,4,8",
          value_parser = clap::value_parser!(u16).range(1..=16))]
    pub hosts: Vec<u16>,
    /// Users, who do not pause
    #[arg(long, value_name = "COUNT", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=2_000))]
    pub users: u16,
    /// Seconds of each measurement
    #[arg(long, default_value = "10", value_parser = seconds)]
    pub seconds: Duration,
    /// Of the accounts in the projection, how many in a hundred are used at once
    #[arg(long, value_name = "PERCENT", default_value_t = 10, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub active_percent: u8,
    /// Requests a minute of such an account
    #[arg(long, value_name = "COUNT", default_value_t = 60, value_parser = clap::value_parser!(u16).range(1..=6_000))]
    pub requests_per_minute: u16,
    /// Also writes the figures to this file; a relative path starts at the project's root
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// What `cargo bench` adds by itself
    #[arg(long, hide = true)]
    bench: bool,
}

/// A time between a second and ten minutes.
fn seconds(text: &str) -> Result<Duration, String> {
    seconds_within(text, 1.0, 600.0)
}
