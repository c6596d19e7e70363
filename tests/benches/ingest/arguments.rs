//! The command line.

use clap::{CommandFactory, FromArgMatches, Parser};

use crate::load::arguments::CommonArguments;

/// Seconds of each measurement unless the command says otherwise: what the target asks for.
const MEASURED_SECS: &str = "60";

/// Measures how many events of usage are stored in a minute.
#[derive(Debug, Parser)]
#[command(name = "ingest")]
pub struct Arguments {
    /// Connections that send one batch after another
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub connections: u16,
    #[command(flatten)]
    pub common: CommonArguments,
}

impl Arguments {
    /// Reads the process's command line; ends the process when it is wrong.
    pub fn read() -> Self {
        let command = Self::command().mut_arg("seconds", |seconds| {
            seconds
                .default_value(MEASURED_SECS)
                .help("Seconds of each measurement; 1 for a quick look")
        });
        command
            .try_get_matches()
            .and_then(|matches| Self::from_arg_matches(&matches))
            .unwrap_or_else(|error| error.exit())
    }
}
