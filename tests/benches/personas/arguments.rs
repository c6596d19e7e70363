//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::load::arguments::seconds_within;

/// Runs the personas of tests/load/scenario.toml against a host of its own, or against yours.
#[derive(Debug, Parser)]
#[command(name = "personas")]
pub struct Arguments {
    /// smoke, load, stress, spike, progressive or soak; or `accounts`, which only makes accounts
    /// in the database and writes them to --accounts
    pub kind: String,
    /// Seconds of the whole course [default: what the scenario says]
    #[arg(long, value_parser = seconds)]
    pub seconds: Option<Duration>,
    /// Users at most; the stages are scaled [default: what the scenario says]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub users: Option<u32>,
    /// The shortest and the longest pause of a user; 0,0 for none [default: what the scenario says]
    #[arg(long, value_name = "MS,MS", value_parser = pause)]
    pub pause_ms: Option<Pause>,
    /// Multiplies the bounds of latencies, for slow machines
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    pub patience: f64,
    /// Whom to start and ask
    #[arg(long, value_enum, default_value_t = Server::Wasm)]
    pub server: Server,
    /// Only the tasks that the native baseline can do, so that both can be compared
    #[arg(long)]
    pub only_native_tasks: bool,
    /// A host of yours instead, as ADDRESS:PORT; needs --accounts
    #[arg(long, value_name = "ADDRESS", requires = "accounts")]
    pub address: Option<SocketAddr>,
    /// The database of that host, to see what its sessions do and what the ledger holds
    #[arg(long, value_name = "URL", requires = "address")]
    pub database_url: Option<String>,
    /// The accounts of that host, as `accounts` wrote them
    #[arg(long, value_name = "FILE", requires = "address")]
    pub accounts: Option<PathBuf>,
    /// Also writes the figures to this file; a relative path starts at the project's root
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Also writes a page with drawings
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Fails if a p95 exceeds that in this file, written by --json
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
    /// By how many percent it may
    #[arg(long, value_name = "PERCENT", default_value_t = 25)]
    pub max_regression_percent: u32,
    /// What `cargo bench` adds by itself
    #[arg(long, hide = true)]
    bench: bool,
}

/// Who is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Server {
    /// The wasm host.
    Wasm,
    /// The native baseline, which has some of the routes.
    Native,
}

/// A time between a second and a day.
fn seconds(text: &str) -> Result<Duration, String> {
    seconds_within(text, 1.0, 86_400.0)
}

/// The bounds of a pause, in milliseconds.
pub type Pause = [u64; 2];

/// Two times of at most a minute, of which the second is not shorter.
fn pause(text: &str) -> Result<Pause, String> {
    let bounds: Option<Vec<u64>> = text.split(',').map(|bound| bound.parse().ok()).collect();
    match bounds.as_deref() {
        Some([shortest, longest]) if shortest <= longest && *longest <= 60_000 => {
            Ok([*shortest, *longest])
        }
        _ => Err("give two numbers of milliseconds up to 60000, as in 100,300".to_owned()),
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
        for (line, accepted) in [
            ("smoke", true),
            ("load --seconds 10 --users 64 --pause-ms 0,0 --bench", true),
            ("load --server native --only-native-tasks", true),
            ("stress --json a.json --html a.html --baseline b.json", true),
            (
                "smoke --address 127.0.0.1:3000 --accounts accounts.json",
                true,
            ),
            (
                "accounts --address 127.0.0.1:3000 --accounts a --database-url postgres://x/y",
                true,
            ),
            ("smoke --address 127.0.0.1:3000", false),
            ("smoke --accounts accounts.json", false),
            ("smoke --seconds 0", false),
            ("smoke --users 0", false),
            ("smoke --server spin", false),
            ("smoke --pause-ms 1,2,3", false),
            ("", false),
        ] {
            let words = std::iter::once("personas").chain(line.split_whitespace());
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
    fn pauses() {
        for (text, expected) in [
            ("0,0", Some([0, 0])),
            ("100,300", Some([100, 300])),
            ("300,100", None),
            ("100", None),
            ("1,2,3", None),
            ("0,60001", None),
            ("a,b", None),
        ] {
            assert_eq!(pause(text).ok(), expected, "{text}");
        }
    }
}
