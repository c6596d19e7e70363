//! The command line.

use clap::{CommandFactory, FromArgMatches, Parser};

use crate::load::arguments::CommonArguments;

/// Seconds of each measurement unless the command says otherwise: twice as long as elsewhere,
/// because who queues for one account waits for all others, and the longest waits are rare.
const MEASURED_SECS: &str = "10";

/// Measures what spending costs, from one account and from many.
#[derive(Debug, Parser)]
#[command(name = "spend")]
pub struct Arguments {
    /// Connections that send one request after another
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub connections: u16,
    #[command(flatten)]
    pub common: CommonArguments,
}

impl Arguments {
    /// Reads the process's command line; ends the process when it is wrong.
    pub fn read() -> Self {
        Self::read_from(std::env::args_os()).unwrap_or_else(|error| error.exit())
    }

    fn read_from(
        line: impl IntoIterator<Item = impl Into<std::ffi::OsString> + Clone>,
    ) -> Result<Self, clap::Error> {
        let command = Self::command().mut_arg("seconds", |seconds| {
            seconds
                .default_value(MEASURED_SECS)
                .help("Seconds of each measurement; 1 for a quick look")
        });
        Self::from_arg_matches(&command.try_get_matches_from(line)?)
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
    fn command_lines() {
        // Connections and seconds of warm-up and of measuring; none where it is refused.
        for (line, expected) in [
            ("spend", Some((64, 2.0, 10.0))),
            (
                "spend --connections 8 --seconds 1 --warmup-secs 0.5 --bench",
                Some((8, 0.5, 1.0)),
            ),
            ("spend --connections 0", None),
            ("spend --connections 1001", None),
            ("spend --seconds 0", None),
            ("spend all", None),
        ] {
            let got = Arguments::read_from(line.split(' ')).ok().map(|arguments| {
                (
                    arguments.connections,
                    arguments.common.warmup_secs.as_secs_f64(),
                    arguments.common.seconds.as_secs_f64(),
                )
            });
            assert_eq!(got, expected, "{line}");
        }
    }
}
