//! The command line.

use clap::Parser;

use crate::load::arguments::CommonArguments;

/// Measures summaries of usage over a month, with many events stored.
#[derive(Debug, Parser)]
#[command(name = "summary")]
pub struct Arguments {
    /// Events that are stored first, which takes 260 bytes of disk each until the end
    #[arg(long, value_name = "COUNT", default_value_t = 20_000_000, value_parser = clap::value_parser!(u64).range(10_000..=100_000_000))]
    pub events: u64,
    /// Organizations that the events are of: the one that is measured has half of them, and the
    /// others share the rest; 1 gives it all of them
    #[arg(long, value_name = "COUNT", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub organizations: u16,
    /// Connections that send one request after another, beside a measurement with one
    #[arg(long, value_name = "COUNT", default_value_t = 16, value_parser = clap::value_parser!(u16).range(2..=1_000))]
    pub connections: u16,
    #[command(flatten)]
    pub common: CommonArguments,
}
