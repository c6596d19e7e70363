//! The command line: what the commands do, in the order they do it.

mod arguments;
pub mod audit_log;
mod database;
mod new;
mod project;
pub mod seed;
mod up;

use std::process::{ExitCode, Stdio};

use crate::function_build;
use anyhow::{Context, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

use arguments::{AuditCommand, Cli, Command, DatabaseArguments};
use database::Database;
use project::Project;

/// What a shell reports for a command that Ctrl-C ended.
const EXIT_INTERRUPTED: u8 = 130;

/// Runs the command that the arguments ask for; errors go to stderr.
pub async fn run() -> ExitCode {
    let cli = Cli::read(std::env::args_os()).unwrap_or_else(|error| error.exit());
    start_logging(cli.common.quiet);
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
            command: AuditCommand::Verify { database },
        } => return verify_audit_log(project, database).await,
        Command::New(arguments) => {
            for place in new::create(project.root(), &arguments)? {
                project.say(format_args!("wrote       {place}"));
            }
            project.say(format_args!(
                "next        TURNPIKE_WRITE=1 cargo test -p openapi && cargo test -p turnpike-tests --test api -- {}",
                arguments.id.replace('-', "_")
            ));
        }
        Command::Bench { name, arguments } => return bench(project, &name, &arguments).await,
        Command::Up(_) => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// What is broken is said even when little is to be said.
async fn verify_audit_log(project: &Project, database: DatabaseArguments) -> Result<ExitCode> {
    let database = Database::open(project, database).await?;
    let verification = database.verify_audit_log().await?;
    database.close().await?;
    for broken in &verification.broken_links {
        eprintln!("{broken}");
    }
    if !verification.broken_links.is_empty() {
        return Ok(ExitCode::FAILURE);
    }
    project.say(format_args!(
        "audit log   {} events in {} organizations are sound",
        verification.events, verification.organizations
    ));
    Ok(ExitCode::SUCCESS)
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
fn start_logging(quiet: bool) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| {
        tracing_subscriber::EnvFilter::new(if quiet { "error" } else { "warn" })
    });
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
}
