//! The command line.

use clap::Parser;

use crate::load::arguments::CommonArguments;

/// Measures the wasm host and a native baseline, one route at a time.
#[derive(Debug, Parser)]
#[command(name = "smoke")]
pub struct Arguments {
    /// Connections that send one request after another
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub connections: u16,
    #[command(flatten)]
    pub common: CommonArguments,
}
