//! `cargo bench -p turnpike-tests --bench ops-center`: the eight endpoints that an operations
//! console asks, each by itself, on the wasm host: a number of requests at a given concurrency.
//! Prints a table, keeps the figures as JSON and as a drawing, and compares with an earlier run.
//!
//! Fails when a request was not answered with a 2xx, or when a p95 grew by more than is allowed.

#![allow(
    clippy::disallowed_methods,
    reason = "a benchmark reads the clock: there is no request whose context could give it"
)]
#![allow(clippy::float_arithmetic, reason = "latencies and rates are not money")]

mod arguments;
mod comparison;
mod dataset;
mod endpoints;
#[path = "../load/mod.rs"]
mod load;
mod plot;
mod report;
mod rounds;

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use serde_json::Value;
use turnpike_host::function_build;
use turnpike_host::postgres_cluster::Cluster;

use arguments::Arguments;
use comparison::{Comparison, Rule};
use dataset::Dataset;
use endpoints::Endpoint;
use load::generator::{self, Connection};
use load::machine::Machine;
use load::server_process::{Kind, ServerProcess};
use load::workload::Workload;
use load::{other_work, phase};
use report::{Measured, Parameters, Report};
use rounds::{Outcome, Round};

const DATABASE: &str = "bench_ops_center";

/// Of how many requests one comes before those that are measured, so that instances, connections
/// and the cache are as they are in the long run.
const WARMUP_SHARE: u64 = 10;

fn main() -> ExitCode {
    load::run::launch(Arguments::parse, run)
}

async fn run(arguments: &Arguments, root: &Path) -> Result<ExitCode> {
    // Before minutes of measuring, not after them.
    let baseline: Option<Report> = match &arguments.baseline {
        Some(path) => Some(load::run::read_report(&root.join(path))?),
        None => None,
    };
    function_build::build(root, None).await?;
    let cluster = load::run::start_cluster(root).await?;
    let report = measure(arguments, root, &cluster).await?;
    load::fixtures::remove(&cluster, DATABASE).await?;
    cluster.stop().await?;

    print!("{}", report.to_text());
    if let Some(path) = &arguments.json {
        load::run::write_report(&root.join(path), &report)?;
    }
    if let Some(path) = &arguments.svg {
        load::run::write_file(&root.join(path), &plot::svg(&report))?;
    }
    let comparison = match baseline {
        Some(baseline) => Some(compare(arguments, &report, &baseline)?),
        None => None,
    };
    let is_passed = comparison.is_none_or(|comparison| comparison.is_passed());
    Ok(if is_passed && report.is_free_of_errors() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn compare(arguments: &Arguments, report: &Report, baseline: &Report) -> Result<Comparison> {
    let rule = Rule {
        max_regression_percent: arguments.max_regression_percent,
        min_regression: arguments.min_regression_ms,
    };
    let comparison = comparison::compare(report, baseline, rule).map_err(anyhow::Error::msg)?;
    let commit = baseline.machine.commit.as_deref();
    println!(
        "\nagainst the baseline of {}, {}; a p95 may grow by {}% or {} ms",
        baseline.machine.date,
        commit.unwrap_or("unknown commit"),
        rule.max_regression_percent,
        1_000.0 * rule.min_regression.as_secs_f64()
    );
    // https://no-color.org
    let is_refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let is_coloured = std::io::stdout().is_terminal() && !is_refused;
    print!("{}", comparison.to_text(is_coloured));
    Ok(comparison)
}

async fn measure(arguments: &Arguments, root: &Path, cluster: &Cluster) -> Result<Report> {
    let dataset = Dataset::create(cluster, DATABASE, root).await?;
    let server = ServerProcess::start(Kind::Wasm, root, &dataset.db_url).await?;
    dataset.furnish(&server).await?;
    let connections = usize::from(arguments.concurrency);
    let round = Round {
        connections,
        warmup: (arguments.iterations / WARMUP_SHARE).max(connections as u64),
        measured: arguments.iterations,
    };
    let mut endpoints = Vec::new();
    for endpoint in arguments.endpoint.endpoints() {
        let measured = measure_one(endpoint, &dataset, &server, round).await;
        endpoints.push(measured.with_context(|| endpoint.name())?);
    }
    server.stop().await?;
    Ok(Report {
        format: report::FORMAT,
        command: load::arguments::command_line("cargo turnpike bench ops-center"),
        machine: Machine::describe(root, dataset.date.clone()).await?,
        parameters: Parameters {
            endpoint: arguments.endpoint.to_string(),
            iterations: round.measured,
            warmup_iterations: round.warmup,
            concurrency: connections,
            members: dataset::MEMBERS,
            transactions: dataset::TRANSACTIONS,
            subscriptions: dataset::SUBSCRIPTIONS,
        },
        endpoints,
    })
}

async fn measure_one(
    endpoint: Endpoint,
    dataset: &Dataset,
    server: &ServerProcess,
    round: Round,
) -> Result<Measured> {
    check_answer(endpoint, dataset, server).await?;
    load::fixtures::settle(dataset.client()).await?;
    let before = other_work::busy_percent().await;
    let done = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&done);
    let address = server.address();
    let workload = Workload {
        requests: vec![dataset.request(endpoint)],
    };
    let receiver =
        generator::on_own_thread(move || rounds::run(address, workload, round, counted))?;
    let outcome = phase::with_bar(
        endpoint.name(),
        round.warmup + round.measured,
        || done.load(Ordering::Relaxed),
        async { receiver.await? },
    )
    .await?;
    let after = other_work::busy_percent().await;
    let other_work_percent = before.zip(after).map(|(before, after)| before.max(after));
    Ok(summarize(endpoint, dataset, &outcome, other_work_percent))
}

/// Makes sure that a successful answer has what the fixture put there. A refusal is for the
/// measurement to count.
async fn check_answer(endpoint: Endpoint, dataset: &Dataset, server: &ServerProcess) -> Result<()> {
    let mut connection = Connection::open(server.address()).await?;
    let request = dataset.request(endpoint);
    let head = connection.exchange(request.as_bytes()).await?;
    if (200..300).contains(&head.status) {
        let body: Value = serde_json::from_slice(connection.body(head))?;
        let proof = endpoint.proof();
        ensure!(
            body.pointer(proof).is_some_and(|value| !value.is_null()),
            "the answer has no {proof}, so that something else would be measured: {body}"
        );
    }
    Ok(())
}

fn summarize(
    endpoint: Endpoint,
    dataset: &Dataset,
    outcome: &Outcome,
    other_work_percent: Option<f64>,
) -> Measured {
    let latencies = &outcome.latencies;
    let successes = latencies.len();
    let percent_of = |count: u64| 100.0 * count as f64 / successes.max(1) as f64;
    Measured {
        endpoint: endpoint.name().to_owned(),
        target: dataset.target(endpoint),
        successes,
        errors: outcome.errors,
        first_error: outcome.first_error.clone(),
        requests_per_sec: successes as f64 / outcome.elapsed.as_secs_f64(),
        min_micros: latencies.min(),
        avg_micros: latencies.mean().round() as u64,
        p50_micros: latencies.value_at_quantile(0.50),
        p95_micros: latencies.value_at_quantile(0.95),
        p99_micros: latencies.value_at_quantile(0.99),
        max_micros: latencies.max(),
        cache_hits_percent: percent_of(outcome.cache_hits),
        generator_busy_percent: outcome.generator_busy_percent,
        other_work_percent,
    }
}
