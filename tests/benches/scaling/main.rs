//! `cargo turnpike bench scaling`: the personas without pauses on several host processes behind
//! one Postgres and one Redis, with what a request costs the hosts and Postgres, and what that
//! comes to for more accounts.
//!
//! Fails when a request fails, or when the ledger does not hold each acknowledged spend once.

#![allow(
    clippy::disallowed_methods,
    reason = "a benchmark reads the clock: there is no request whose context could give it"
)]
#![allow(clippy::float_arithmetic, reason = "latencies and rates are not money")]

mod arguments;
#[path = "../load/mod.rs"]
mod load;
#[path = "../personas"]
#[allow(dead_code, reason = "this benchmark uses a part of it")]
mod personas {
    pub mod accounts;
    pub mod bottleneck;
    pub mod measure;
    pub mod placeholders;
    pub mod processes;
    pub mod report;
    pub mod runner;
    pub mod scenario;
    pub mod watch;
}
mod report;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use tokio_postgres::Client;
use turnpike_host::function_build;
use turnpike_host::postgres_cluster::Cluster;
use turnpike_tests::redis_server::RedisServer;

use arguments::Arguments;
use load::machine::Machine;
use load::server_process::{Kind as ServerKind, ServerProcess};
use personas::accounts::Accounts;
use personas::measure::{self, Course};
use personas::scenario::Scenario;
use personas::watch::Watched;
use report::{Report, Row};

const DATABASE: &str = "bench_scaling";

/// The kind of load whose thresholds are not looked at, and whose stages are replaced.
const KIND: &str = "stress";

/// Load before anything is measured: every instance exists then, and most of the cache.
const WARMUP: Duration = Duration::from_secs(3);

fn main() -> ExitCode {
    load::run::launch(Arguments::parse, run)
}

async fn run(arguments: &Arguments, root: &Path) -> Result<ExitCode> {
    ensure!(
        RedisServer::is_installed(),
        "redis-server is not installed: several hosts share a cache in Redis, or they would answer \
         with what another one changed"
    );
    let scenario = Scenario::read(root)?;
    function_build::build(root, None).await?;
    let cluster = load::run::start_cluster(root).await?;
    let mut rows = Vec::new();
    let mut machine = None;
    for hosts in &arguments.hosts {
        let row = measure_hosts(arguments, root, &cluster, &scenario, usize::from(*hosts));
        let (row, client) = row.await.with_context(|| format!("with {hosts} hosts"))?;
        if machine.is_none() {
            machine = Some(Machine::describe(root, measure::date(&client).await?).await?);
        }
        rows.push(row);
    }
    load::fixtures::remove(&cluster, DATABASE).await?;
    cluster.stop().await?;
    let report = Report {
        format: report::FORMAT,
        command: load::arguments::command_line("cargo turnpike bench scaling"),
        machine: machine.context("there is no number of hosts")?,
        users: usize::from(arguments.users),
        measured_secs: arguments.seconds.as_secs_f64(),
        rows,
        active_percent: arguments.active_percent,
        requests_per_minute: arguments.requests_per_minute,
    };
    print!("{}", report.to_text());
    if let Some(path) = &arguments.json {
        load::run::write_report(&root.join(path), &report)?;
    }
    Ok(if report.is_free_of_errors() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// So many hosts on a database that is as new as the cache.
async fn measure_hosts(
    arguments: &Arguments,
    root: &Path,
    cluster: &Cluster,
    scenario: &Scenario,
    hosts: usize,
) -> Result<(Row, Client)> {
    let (db_url, client) = load::fixtures::create(cluster, DATABASE, root).await?;
    let redis = RedisServer::start().await?;
    let url = redis.url();
    let mut servers = Vec::new();
    for _ in 0..hosts {
        let kind = ServerKind::Wasm;
        let server = ServerProcess::start_with_cache(kind, root, &db_url, Some(&url));
        servers.push(server.await?);
    }
    let addresses: Vec<_> = servers.iter().map(ServerProcess::address).collect();
    let users = usize::from(arguments.users);
    let first = addresses.first().context("there is no host")?;
    let accounts = Accounts::create(scenario, users, &client, *first).await?;
    load::fixtures::settle(&client).await?;
    let course = Course {
        stages: vec![(users, WARMUP), (users, arguments.seconds)],
        pause_ms: [0, 0],
        ..Course::of(scenario.kind(KIND)?, None)
    };
    let watched = Watched {
        host_pids: servers.iter().filter_map(ServerProcess::pid).collect(),
        database: Some(&client),
    };
    let ran = measure::run(scenario.clone(), &course, accounts, addresses, &watched).await?;
    let machine = Machine::describe(root, String::new()).await?;
    let named = (String::new(), String::new());
    let measured = measure::report(scenario, &course, ran, machine, named, 1.0)?;
    for server in servers {
        server.stop().await?;
    }
    if let Some(ledger) = measured.ledger {
        ensure!(ledger.is_right(), "the ledger is not right: {ledger:?}");
    }
    let totals = &measured.totals;
    let per_request = |cores: Option<f64>| {
        let micros = cores? * 1e6 / totals.requests_per_sec.max(0.001);
        Some(micros)
    };
    let resident = measured.seconds.iter().rev();
    let row = Row {
        hosts,
        requests_per_sec: totals.requests_per_sec,
        errors: totals.errors,
        p50_micros: totals.p50_micros,
        p95_micros: totals.p95_micros,
        p99_micros: totals.p99_micros,
        hits_percent: totals.hits_percent(),
        host_micros_per_request: per_request(measured.seen.host_cores),
        postgres_micros_per_request: per_request(measured.seen.postgres_cores),
        host_resident_bytes: resident
            .filter_map(|second| second.host_resident_bytes)
            .next(),
        bottleneck: measured.bottleneck,
    };
    Ok((row, client))
}
