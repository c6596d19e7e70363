//! The command line: what the commands do, in the order they do it.

mod arguments;
pub mod audit_log;
mod cache;
mod compile;
mod database;
mod doctor;
mod new;
mod project;
mod purge;
mod queries;
mod report;
pub mod seed;
mod up;

use std::path::Path;
use std::process::{ExitCode, Stdio};

use crate::function_build;
use anyhow::{Context, Result, ensure};
use chrono::{SecondsFormat, Utc};
use shared::auth::checkpoint_key::{CheckpointKey, PublicCheckpointKey};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use audit_log::{Checkpoint, Destination, Verification};

use arguments::{AuditCommand, Cli, Command, DatabaseArguments, LogFormat};
use database::Database;
use project::Project;

/// What a shell reports for a command that Ctrl-C ended.
const EXIT_INTERRUPTED: u8 = 130;

/// Runs the command that the arguments ask for; errors go to stderr.
pub async fn run() -> ExitCode {
    let cli = Cli::read(std::env::args_os()).unwrap_or_else(|error| error.exit());
    start_logging(cli.common.quiet, cli.log_format());
    match execute(cli).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn execute(cli: Cli) -> Result<ExitCode> {
    let project = Project::find(cli.common)?;
    let mut signals = Signals::new()?;
    let command = cli.command.unwrap_or(Command::Up(cli.up));
    if let Command::Up(arguments) = command {
        return up::run(&project, arguments, &mut signals).await;
    }
    tokio::select! {
        result = execute_once(&project, command) => result,
        // What was begun ends by itself: a migration rolls back, the cluster has its watchdog.
        () = signals.next() => Ok(ExitCode::from(EXIT_INTERRUPTED)),
    }
}

/// The commands that do one thing and end.
async fn execute_once(project: &Project, command: Command) -> Result<ExitCode> {
    match command {
        Command::Build { components } => {
            let wanted = (!components.is_empty()).then_some(components.as_slice());
            let built =
                function_build::build_with(&project.manifest()?, wanted, project.progress())
                    .await?;
            project.say_built(&built, true);
        }
        Command::Migrate { prune, database } => {
            let database = Database::open(project, database).await?;
            let report = if prune {
                database.migrate_and_prune(project).await?
            } else {
                database.migrate(project).await?
            };
            project.say_migrated(&report);
            database.close().await?;
        }
        Command::Seed { database } => {
            let database = Database::open(project, database).await?;
            project.say_migrated(&database.migrate(project).await?);
            let demo = database.load_demo().await?;
            project.say(format_args!(
                "demo        {} and, who may grant credits, {}; password {}",
                demo.email, demo.admin_email, demo.password
            ));
            database.close().await?;
        }
        Command::Audit {
            command:
                AuditCommand::Verify {
                    checkpoint,
                    public_key,
                    database,
                },
        } => {
            let checkpoint = checkpoint
                .map(|path| read_checkpoint(&path, public_key))
                .transpose()?;
            return verify_audit_log(project, database, checkpoint).await;
        }
        Command::Audit {
            command: AuditCommand::Checkpoint { to, database },
        } => return write_checkpoint(project, database, &to).await,
        Command::Cache { command } => cache::run(project, command).await?,
        Command::Doctor(arguments) => return doctor::run(project, arguments).await,
        Command::Purge(arguments) => purge::run(project, arguments).await?,
        Command::Queries(arguments) => queries::run(project, arguments).await?,
        Command::New(arguments) => {
            for place in new::create(project.root(), &arguments)? {
                project.say(format_args!("wrote       {place}"));
            }
            project.say(format_args!(
                "next        TURNPIKE_WRITE=1 cargo test -p openapi && cargo test -p turnpike-tests --test api -- {}",
                arguments.id.replace('-', "_")
            ));
        }
        Command::Compile => compile::run(project).await?,
        Command::Load { kind, arguments } => {
            let arguments: Vec<String> = std::iter::once(kind).chain(arguments).collect();
            return bench(project, "personas", &arguments).await;
        }
        Command::Bench { name, arguments } => return bench(project, &name, &arguments).await,
        Command::Up(_) => {}
    }
    Ok(ExitCode::SUCCESS)
}

async fn verify_audit_log(
    project: &Project,
    database: DatabaseArguments,
    checkpoint: Option<Checkpoint>,
) -> Result<ExitCode> {
    let database = Database::open(project, database).await?;
    let ends = checkpoint.as_ref().map(|checkpoint| &checkpoint.ends[..]);
    let verification = database.verify_audit_log(ends.unwrap_or_default()).await?;
    database.close().await?;
    if !say_verified(project, &verification) {
        return Ok(ExitCode::FAILURE);
    }
    if let Some(checkpoint) = checkpoint {
        project.say(format_args!(
            "checkpoint  all {} chains have what they had at {}",
            checkpoint.ends.len(),
            checkpoint.taken_at
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// Signs where the log stands, if it is sound. The ends are read first: what is added until the
/// check is checked too.
async fn write_checkpoint(
    project: &Project,
    database: DatabaseArguments,
    to: &Destination,
) -> Result<ExitCode> {
    let key = checkpoint_key()?;
    let database = Database::open(project, database).await?;
    let ends = database.audit_log_ends().await?;
    let verification = database.verify_audit_log(&ends).await?;
    database.close().await?;
    if !say_verified(project, &verification) {
        return Ok(ExitCode::FAILURE);
    }
    let checkpoint = Checkpoint {
        taken_at: now(),
        ends,
    };
    let text = checkpoint.signed(&key)?;
    to.take(text).await?;
    // The output has the checkpoint, and nothing else.
    if *to != Destination::Output {
        project.say(format_args!(
            "checkpoint  {} chains to {to}, signed with the key {}",
            checkpoint.ends.len(),
            key.public()
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// This machine's time, because the database is what is checked.
#[expect(
    clippy::disallowed_methods,
    reason = "a command has no request to take it from"
)]
fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// The checkpoint in a file, if the key of this deployment signed it.
fn read_checkpoint(path: &Path, key: Option<PublicCheckpointKey>) -> Result<Checkpoint> {
    let key = match key {
        Some(key) => key,
        None => checkpoint_key()?.public(),
    };
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Checkpoint::read(&text, &key)
        .with_context(|| format!("{} is no checkpoint to compare with", path.display()))
}

/// The key that signs checkpoints. Whoever can change the database must not have it, so it is not
/// made of the secret that a database draws for itself.
fn checkpoint_key() -> Result<CheckpointKey> {
    let secret = std::env::var("SPIN_VARIABLE_MASTER_SECRET").unwrap_or_default();
    ensure!(
        !secret.is_empty(),
        "set SPIN_VARIABLE_MASTER_SECRET, as the components have it: the key of a checkpoint is \
         made of it, and a secret that the database keeps would sign for whoever changes the database"
    );
    Ok(CheckpointKey::derive(secret.as_bytes()))
}

/// Whether the log is sound. What is broken is said even when little is to be said.
fn say_verified(project: &Project, verification: &Verification) -> bool {
    for broken in &verification.broken_links {
        eprintln!("{broken}");
    }
    if verification.broken_links.is_empty() {
        project.say(format_args!(
            "audit log   {} events in {} chains are sound",
            verification.events, verification.organizations
        ));
    }
    verification.broken_links.is_empty()
}

async fn bench(project: &Project, name: &str, arguments: &[String]) -> Result<ExitCode> {
    let mut cargo = std::process::Command::new("cargo");
    function_build::clear_build_environment(&mut cargo);
    cargo
        .args(["bench", "-p", "turnpike-tests", "--bench", name, "--"])
        .args(arguments)
        .current_dir(project.root())
        .stdin(Stdio::inherit());
    let status = tokio::process::Command::from(cargo)
        .kill_on_drop(true)
        .status()
        .await
        .context("cannot run cargo: install Rust from https://rustup.rs")?;
    let code = status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(1);
    Ok(ExitCode::from(code))
}

/// The ways in which a user or an orchestrator asks for the end.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Log lines go to stderr: those that `RUST_LOG` asks for, or warnings only.
fn start_logging(quiet: bool, format: LogFormat) {
    let asked_for = std::env::var("RUST_LOG").ok();
    let filter = asked_for
        .and_then(|levels| levels.parse().ok())
        .unwrap_or_else(|| {
            Targets::new().with_default(if quiet { Level::ERROR } else { Level::WARN })
        });
    let subscriber = tracing_subscriber::registry().with(filter);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match format {
        LogFormat::Text => subscriber.with(lines).init(),
        LogFormat::Json => subscriber.with(lines.json().flatten_event(true)).init(),
    }
}
