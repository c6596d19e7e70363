//! What can be written after `turnpike`.

use std::ffi::OsString;
use std::net::{AddrParseError, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use shared::auth::checkpoint_key::PublicCheckpointKey;
use shared::warming::WarmingMode;

use super::audit_log::Destination;
use crate::runtime::handler::HandlerExport;

/// Usage-based billing and auth in sandboxed WebAssembly components.
///
/// Without a command, `turnpike` is `turnpike up`.
#[derive(Debug, Parser)]
#[command(name = "turnpike")]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub up: UpArguments,
    #[command(flatten)]
    pub common: Common,
}

impl Cli {
    /// Reads a command line. An option of `up` before another command is refused rather than
    /// ignored; those that every command understands may stand anywhere.
    ///
    /// # Errors
    ///
    /// What is wrong with the line, or the help or version that it asks for.
    pub fn read(
        line: impl IntoIterator<Item = impl Into<OsString> + Clone>,
    ) -> Result<Self, clap::Error> {
        let mut command = Self::command();
        let matches = command.try_get_matches_from_mut(line)?;
        if let Some(name) = matches.subcommand_name() {
            let of_up = UpArguments::augment_args(clap::Command::new("up"));
            let misplaced = of_up.get_arguments().find(|option| {
                matches.value_source(option.get_id().as_str()) == Some(ValueSource::CommandLine)
            });
            if let Some(option) = misplaced {
                let text = format!(
                    "--{} belongs after `up`, and not before `{name}`",
                    option.get_long().unwrap_or_default()
                );
                return Err(command.error(ErrorKind::ArgumentConflict, text));
            }
        }
        Self::from_arg_matches(&matches)
    }
}

/// What every command understands.
#[derive(Debug, Args)]
pub struct Common {
    /// The manifest [default: the spin.toml of this or a parent directory]
    #[arg(long, global = true, value_name = "FILE")]
    pub manifest: Option<PathBuf>,
    /// Print errors only
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build the functions, start Postgres, migrate, load the demo tenant and serve
    Up(UpArguments),
    /// Build the functions of the manifest
    Build {
        /// The components to build [default: all that have a folder in functions/]
        components: Vec<String>,
    },
    /// Apply the migrations that the database lacks, and the SQL functions if they changed
    Migrate {
        /// Drop the functions of earlier releases too, once no instance of them runs any more
        #[arg(long)]
        prune: bool,
        #[command(flatten)]
        database: DatabaseArguments,
    },
    /// Migrate, and load the demo tenant
    Seed {
        #[command(flatten)]
        database: DatabaseArguments,
    },
    /// Check the audit log, or sign where it stands
    Audit {
        #[command(subcommand)]
        command: AuditCommand,
    },
    /// Take dead entries out of the cache, or read into it what will be asked for
    Cache {
        #[command(subcommand)]
        command: CacheCommand,
    },
    /// Find what is wrong with the configuration, the database and the cache, and say what to type;
    /// exits with 1 if something is
    Doctor(DoctorArguments),
    /// Delete what has lapsed: sessions, tokens, idempotency keys, mail that was sent
    Purge(PurgeArguments),
    /// Show what the database does, and what to do about it
    Queries(QueriesArguments),
    /// Write a new function: its folder, its stanza in spin.toml, and its test
    New(NewArguments),
    /// Compile the components into the cache, as `up` has it done before it serves
    #[command(hide = true)]
    Compile,
    /// Run the personas of tests/load/scenario.toml, on a host of their own or on yours; exits with
    /// 1 if a threshold is not met
    Load {
        /// smoke, load, stress, spike, progressive or soak; or `accounts`, which makes accounts
        kind: String,
        /// What to pass on; `turnpike load smoke --help` lists it
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Run a benchmark
    Bench {
        /// The benchmark's name: all, smoke, auth, spend, ingest, summary, ops-center, rating or
        /// scaling
        name: String,
        /// What to pass to it
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Check every organization's hash chain; exits with 1 if one is broken
    Verify {
        /// A signed checkpoint, whose events every chain must still have
        #[arg(long, value_name = "FILE")]
        checkpoint: Option<PathBuf>,
        /// The key of the checkpoint [default: that of SPIN_VARIABLE_MASTER_SECRET]
        #[arg(long, value_name = "KEY", requires = "checkpoint")]
        public_key: Option<PublicCheckpointKey>,
        #[command(flatten)]
        database: DatabaseArguments,
    },
    /// Check the log, and sign the newest event of each chain, to keep elsewhere
    Checkpoint {
        /// The file to write, which must not exist; or an address with https:// to post it to; `-`
        /// writes to the standard output
        #[arg(
            long,
            env = "AUDIT_CHECKPOINT_TO",
            hide_env_values = true,
            value_name = "FILE"
        )]
        to: Destination,
        #[command(flatten)]
        database: DatabaseArguments,
    },
}

#[derive(Debug, Subcommand)]
pub enum CacheCommand {
    /// Take out what has expired or cannot be read
    Sweep(StoreArguments),
    /// Read what organizations have, and cache it before anybody asks for it
    Warm {
        #[command(flatten)]
        warming: WarmArguments,
        #[command(flatten)]
        store: StoreArguments,
        #[command(flatten)]
        database: DatabaseArguments,
    },
}

/// A store that this program can reach.
#[derive(Debug, Args)]
pub struct StoreArguments {
    /// The directory that the key-value store is kept in; no host may use it meanwhile
    #[arg(long, value_name = "DIRECTORY")]
    pub key_value_dir: Option<PathBuf>,
    /// The Redis that the key-value store is kept in
    #[arg(long, env = "REDIS_URL", hide_env_values = true, value_name = "URL")]
    pub redis_url: Option<String>,
}

#[derive(Debug, Args)]
pub struct WarmArguments {
    /// What to warm
    #[arg(long, value_enum, default_value_t = WarmMode::Profiles)]
    pub mode: WarmMode,
    /// How many organizations at most
    #[arg(long, value_name = "COUNT", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
    /// How many days back somebody was signed in, for profiles and predicted
    #[arg(long, value_name = "COUNT", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=365))]
    pub days: u32,
}

impl WarmArguments {
    /// What `up --warm` warms.
    pub const fn at_start() -> Self {
        Self {
            mode: WarmMode::Profiles,
            limit: 1_000,
            days: 7,
        }
    }
}

/// What `turnpike cache warm` warms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WarmMode {
    /// The subscriptions and pools of all organizations
    Full,
    /// The subscriptions
    Plans,
    /// The subscriptions and pools of organizations in which somebody was signed in of late
    Profiles,
    /// The pools
    Stats,
    /// Of the organizations of `profiles` what was looked for at this hour and weekday before
    Predicted,
}

impl From<WarmMode> for WarmingMode {
    fn from(mode: WarmMode) -> Self {
        match mode {
            WarmMode::Full => Self::Full,
            WarmMode::Plans => Self::Plans,
            WarmMode::Profiles => Self::Profiles,
            WarmMode::Stats => Self::Stats,
            WarmMode::Predicted => Self::Predicted,
        }
    }
}

#[derive(Debug, Args)]
pub struct NewArguments {
    /// The id: its domain, then what it is, as in credits-forecast
    pub id: String,
    /// The path that it answers [default: made of the id, as in /api/v1/credits/forecast]
    #[arg(long, value_name = "PATH")]
    pub route: Option<String>,
    /// The permission that it needs
    #[arg(long, default_value = "organization:read")]
    pub permission: String,
}

#[derive(Debug, Args)]
pub struct DoctorArguments {
    #[command(flatten)]
    pub database: DatabaseArguments,
    /// The Redis that the key-value store is kept in
    #[arg(long, env = "REDIS_URL", hide_env_values = true, value_name = "URL")]
    pub redis_url: Option<String>,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct PurgeArguments {
    /// Delete nothing, and say how much has lapsed
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub database: DatabaseArguments,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct QueriesArguments {
    /// What to show
    pub topic: Topic,
    /// Of `plan`: a component, or a SQL function
    #[arg(required_if_eq("topic", "plan"))]
    pub name: Option<String>,
    #[command(flatten)]
    pub database: DatabaseArguments,
    /// How many rows a table has at most
    #[arg(long, value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// What `turnpike queries` shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Topic {
    /// The statements that took the most time, and who sends them
    Slow,
    /// Connections, open transactions, and who waits for whom
    Pool,
    /// Indexes that are missing, unused, or there twice
    Indexes,
    /// Dead rows, bloat, vacuum, locks, replication, and the buffer cache
    Health,
    /// How Postgres carries out the statements of a component or of a SQL function
    Plan,
    /// All but the plans
    All,
}

#[derive(Debug, Args)]
pub struct DatabaseArguments {
    /// A Postgres of your own [default: a private one in .turnpike/postgres]
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    pub database_url: Option<String>,
}

#[derive(Debug, Args)]
pub struct UpArguments {
    /// The address to serve; port 0 takes any free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:3000")]
    pub listen: SocketAddr,
    #[command(flatten)]
    pub database: DatabaseArguments,
    /// Keep the key-value store in this directory instead of in memory
    #[arg(long, value_name = "DIRECTORY")]
    pub key_value_dir: Option<PathBuf>,
    /// Keep the key-value store in Redis, unless --key-value-dir is given
    #[arg(long, env = "REDIS_URL", hide_env_values = true, value_name = "URL")]
    pub redis_url: Option<String>,
    /// Cache the subscriptions and pools of organizations in which somebody was signed in of late,
    /// while the first requests are served
    #[arg(long)]
    pub warm: bool,
    /// How many requests one instance of a component answers
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_instance_reuse_count: Option<u32>,
    /// How many requests one instance answers at once
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_instance_concurrent_reuse_count: Option<u32>,
    /// How long an idle instance is kept: `1s`, `500ms`, `2m`
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub idle_instance_timeout: Option<Duration>,
    /// By what components are asked that can be asked by both
    #[arg(
        long,
        env = "TURNPIKE_HANDLER_EXPORT",
        value_name = "EXPORT",
        value_enum,
        default_value_t
    )]
    pub handler_export: HandlerExport,
    /// Where to show metrics, as GET /metrics to whoever asks there: an address, or `off`
    /// [default: 127.0.0.1:9464, unless that is taken]
    #[arg(long, value_name = "ADDRESS")]
    pub metrics_listen: Option<MetricsListen>,
    /// Send traces to this collector by OTLP over plain HTTP, as http://127.0.0.1:4318
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp_endpoint: Option<String>,
    /// How log lines are written; as JSON, each request has one
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,
}

/// Where metrics are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricsListen {
    Off,
    At(SocketAddr),
}

impl FromStr for MetricsListen {
    type Err = AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "off" => Ok(Self::Off),
            address => address.parse().map(Self::At),
        }
    }
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// to be read by people
    #[default]
    Text,
    /// one object a line
    Json,
}

impl Cli {
    /// How log lines are written.
    pub fn log_format(&self) -> LogFormat {
        match &self.command {
            Some(Command::Up(arguments)) => arguments.log_format,
            Some(_) => LogFormat::Text,
            None => self.up.log_format,
        }
    }
}

/// Reads whole milliseconds, seconds or minutes; a bare number is seconds.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let number: u64 = digits
        .parse()
        .map_err(|_| "write a whole number and a unit, as in `1s`".to_owned())?;
    let seconds = |count: Option<u64>| {
        count
            .map(Duration::from_secs)
            .ok_or_else(|| "that is too long".to_owned())
    };
    match text[digits.len()..].trim() {
        "ms" => Ok(Duration::from_millis(number)),
        "" | "s" => seconds(Some(number)),
        "m" | "min" => seconds(number.checked_mul(60)),
        unit => Err(format!("the unit `{unit}` is none of `ms`, `s`, `m`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, expected) in [
            ("1s", Some(1_000)),
            ("500ms", Some(500)),
            ("2m", Some(120_000)),
            ("3", Some(3_000)),
            ("0s", Some(0)),
            ("1.5s", None),
            ("-1s", None),
            ("1h", None),
            ("s", None),
            ("", None),
            ("99999999999999999999s", None),
            ("9999999999999999999m", None),
        ] {
            let expected = expected.map(Duration::from_millis);
            assert_eq!(
                parse_duration(text).ok(),
                expected,
                "misread the duration {text:?}"
            );
        }
    }

    #[test]
    fn command_lines() {
        for (line, accepted) in [
            ("turnpike", true),
            ("turnpike --listen 127.0.0.1:8080", true),
            (
                "turnpike up --listen [::1]:0 --max-instance-reuse-count 1 --max-instance-concurrent-reuse-count 1",
                true,
            ),
            ("turnpike up --handler-export wasi-http", true),
            ("turnpike --handler-export plain", true),
            ("turnpike --handler-export wasi", false),
            ("turnpike --quiet", true),
            ("turnpike build credits-balance --quiet", true),
            ("turnpike migrate --manifest elsewhere/spin.toml", true),
            ("turnpike seed --database-url postgres://localhost/x", true),
            (
                "turnpike audit verify --database-url postgres://localhost/x",
                true,
            ),
            ("turnpike audit verify --checkpoint yesterday", true),
            (
                "turnpike audit verify --checkpoint yesterday --public-key 11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
                true,
            ),
            (
                "turnpike audit verify --checkpoint yesterday --public-key 11qY",
                false,
            ),
            (
                "turnpike audit verify --public-key 11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
                false,
            ),
            ("turnpike audit checkpoint --to today", true),
            ("turnpike audit checkpoint --to -", true),
            (
                "turnpike audit checkpoint --to https://vault.example/kept",
                true,
            ),
            ("turnpike audit checkpoint --to https://", false),
            ("turnpike audit checkpoint", false),
            ("turnpike audit", false),
            ("turnpike audit mend", false),
            ("turnpike bench http --baseline", true),
            ("turnpike load smoke --seconds 10 --html a.html", true),
            ("turnpike load", false),
            (
                "turnpike bench ops-center --endpoint all --iterations 10",
                true,
            ),
            ("turnpike --manifest elsewhere/spin.toml migrate", true),
            ("turnpike -q --listen 127.0.0.1:8080", true),
            ("turnpike --listen 127.0.0.1:8080 migrate", false),
            ("turnpike --listen 127.0.0.1:8080 up", false),
            ("turnpike cache sweep --redis-url redis://localhost", true),
            ("turnpike cache sweep --key-value-dir kept", true),
            (
                "turnpike cache warm --mode plans --limit 10 --days 3 --redis-url redis://localhost",
                true,
            ),
            ("turnpike cache warm --mode all", false),
            ("turnpike cache warm --limit 0", false),
            ("turnpike cache", false),
            ("turnpike up --warm", true),
            ("turnpike purge --dry-run --json", true),
            ("turnpike doctor --json", true),
            ("turnpike doctor --redis-url redis://localhost", true),
            ("turnpike doctor now", false),
            ("turnpike queries all --json --limit 5", true),
            ("turnpike queries plan credits-balance", true),
            ("turnpike queries plan", false),
            ("turnpike queries slow --limit 0", false),
            ("turnpike queries", false),
            ("turnpike compile --manifest elsewhere/spin.toml", true),
            ("turnpike compile health", false),
            ("turnpike bench", false),
            ("turnpike up --listen here", false),
            ("turnpike up --max-instance-reuse-count 0", false),
            ("turnpike up --metrics-listen off --log-format json", true),
            ("turnpike --metrics-listen [::1]:0", true),
            ("turnpike up --otlp-endpoint http://127.0.0.1:4318", true),
            ("turnpike up --metrics-listen 9464", false),
            ("turnpike up --log-format yaml", false),
            ("turnpike fly", false),
        ] {
            let parsed = Cli::read(line.split(' '));
            assert_eq!(
                parsed.is_ok(),
                accepted,
                "whether `{line}` is accepted: {:?}",
                parsed.err().map(|error| error.to_string())
            );
        }
    }
}
