//! `cargo turnpike load <kind>`: the personas of `tests/load/scenario.toml` with pauses, in stages,
//! on a host of their own with a database of its own, or on one that runs already. Shows how it
//! goes, holds the figures against the scenario's thresholds and against an earlier run, and names
//! what held it back.
//!
//! Fails when a threshold is not met, when a p95 grew by more than it may, or when the ledger does
//! not hold each acknowledged spend once.

#![allow(
    clippy::disallowed_methods,
    reason = "a benchmark reads the clock: there is no request whose context could give it"
)]
#![allow(clippy::float_arithmetic, reason = "latencies and rates are not money")]

mod accounts;
mod arguments;
mod bottleneck;
#[allow(
    dead_code,
    reason = "the tests write the programs for other generators"
)]
mod generated;
mod html;
#[path = "../load/mod.rs"]
mod load;
mod measure;
mod placeholders;
mod processes;
mod report;
mod runner;
mod scenario;
mod watch;

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use tokio_postgres::Client;
use turnpike_host::function_build;
use turnpike_host::postgres_cluster;

use accounts::Accounts;
use arguments::{Arguments, Server};
use load::comparison;
use load::figures::Figures;
use load::machine::Machine;
use load::server_process::{Kind as ServerKind, ServerProcess};
use measure::{Course, Ran};
use report::Report;
use scenario::Scenario;
use watch::Watched;

const DATABASE: &str = "bench_personas";

/// What only makes accounts.
const ACCOUNTS: &str = "accounts";

/// Accounts that it makes unless it is told.
const DEFAULT_ACCOUNTS: u32 = 1_000;

fn main() -> ExitCode {
    load::run::launch(Arguments::parse, run)
}

async fn run(arguments: &Arguments, root: &Path) -> Result<ExitCode> {
    let mut scenario = Scenario::read(root)?;
    if arguments.only_native_tasks || arguments.server == Server::Native {
        scenario = scenario.of_native_tasks();
    }
    if arguments.kind == ACCOUNTS {
        write_accounts(arguments, root, &scenario).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let course = course(arguments, &scenario)?;
    // Before minutes of measuring, not after them.
    let baseline: Option<Report> = match &arguments.baseline {
        Some(path) => Some(load::run::read_report(&root.join(path))?),
        None => None,
    };
    let (machine, ran) = match arguments.address {
        Some(address) => ask_given(arguments, root, scenario.clone(), &course, address).await?,
        None => ask_own(arguments, root, scenario.clone(), &course).await?,
    };
    let command = load::arguments::command_line("cargo turnpike load");
    let server = match arguments.server {
        Server::Wasm if arguments.only_native_tasks => "wasm host, tasks of the baseline",
        Server::Wasm => "wasm host",
        Server::Native => "native baseline",
    };
    let report = measure::report(
        &scenario,
        &course,
        ran,
        machine,
        (command, server.to_owned()),
        arguments.patience,
    )?;

    print!("{}", report.to_text());
    let comparison = baseline.map(|baseline| {
        comparison::compare(
            &report.compared(),
            &baseline.compared(),
            arguments.max_regression_percent,
        )
    });
    if let Some(path) = &arguments.json {
        load::run::write_report(&root.join(path), &report)?;
    }
    if let Some(path) = &arguments.html {
        load::run::write_file(&root.join(path), &html::page(&report, comparison.as_ref()))?;
    }
    let regressions = comparison.map_or(0, |comparison| {
        comparison.print();
        comparison.regressions.len()
    });
    Ok(if report.is_passed() && regressions == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The kind's course, as the command line changes it.
fn course(arguments: &Arguments, scenario: &Scenario) -> Result<Course> {
    let kind = scenario.kind(&arguments.kind)?;
    let mut course = Course::of(kind, arguments.seconds);
    if let Some(users) = arguments.users {
        course.scale_users(usize::try_from(users)?);
    }
    if let Some(pause_ms) = arguments.pause_ms {
        course.pause_ms = pause_ms;
    }
    Ok(course)
}

/// On a host and a database of its own.
async fn ask_own(
    arguments: &Arguments,
    root: &Path,
    scenario: Scenario,
    course: &Course,
) -> Result<(Machine, Ran)> {
    function_build::build(root, None).await?;
    let cluster = load::run::start_cluster(root).await?;
    let (db_url, client) = load::fixtures::create(&cluster, DATABASE, root).await?;
    let mut server = ServerProcess::start(ServerKind::Wasm, root, &db_url).await?;
    let users = course.most_users();
    let accounts = Accounts::create(&scenario, users, &client, server.address()).await?;
    if arguments.server == Server::Native {
        server.stop().await?;
        server = ServerProcess::start(ServerKind::Native, root, &db_url).await?;
    }
    load::fixtures::settle(&client).await?;
    let machine = Machine::describe(root, measure::date(&client).await?).await?;
    let watched = Watched {
        host_pids: server.pid().into_iter().collect(),
        database: Some(&client),
    };
    let addresses = vec![server.address()];
    let ran = measure::run(scenario, course, accounts, addresses, &watched).await?;
    server.stop().await?;
    drop(client);
    load::fixtures::remove(&cluster, DATABASE).await?;
    cluster.stop().await?;
    Ok((machine, ran))
}

/// On a host that runs already.
async fn ask_given(
    arguments: &Arguments,
    root: &Path,
    scenario: Scenario,
    course: &Course,
    address: SocketAddr,
) -> Result<(Machine, Ran)> {
    let path = arguments
        .accounts
        .as_ref()
        .context("--accounts is needed")?;
    let text = std::fs::read_to_string(root.join(path))
        .with_context(|| format!("cannot read {}", path.display()))?;
    let accounts: Accounts = serde_json::from_str(&text)
        .with_context(|| format!("{} has no accounts", path.display()))?;
    let client = match &arguments.database_url {
        Some(url) => Some(postgres_cluster::connect(url).await?),
        None => None,
    };
    let machine = Machine::describe(root, measure::clock_date()).await?;
    let watched = Watched {
        host_pids: Vec::new(),
        database: client.as_ref(),
    };
    let ran = measure::run(scenario, course, accounts, vec![address], &watched).await?;
    Ok((machine, ran))
}

async fn write_accounts(arguments: &Arguments, root: &Path, scenario: &Scenario) -> Result<()> {
    let (Some(address), Some(url), Some(path)) = (
        arguments.address,
        &arguments.database_url,
        &arguments.accounts,
    ) else {
        anyhow::bail!("`accounts` needs --address, --database-url and --accounts");
    };
    let client: Client = postgres_cluster::connect(url).await?;
    let row = client.query_one("SELECT count(*) FROM users", &[]).await?;
    ensure!(
        row.try_get::<_, i64>(0)? == 0,
        "the database has users: accounts of load belong in a database of their own"
    );
    let users = usize::try_from(arguments.users.unwrap_or(DEFAULT_ACCOUNTS))?;
    let accounts = Accounts::create(scenario, users, &client, address).await?;
    load::run::write_report(&root.join(path), &accounts)?;
    println!(
        "wrote {} accounts, whose tokens hold for a day, to {}",
        accounts.accounts.len(),
        path.display()
    );
    Ok(())
}
