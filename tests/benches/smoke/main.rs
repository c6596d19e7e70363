//! `cargo bench -p turnpike-tests --bench smoke`: the wasm host beside a native baseline, route
//! by route in the same run, on the same Postgres.
//!
//! For each route first the one and then the other server has the whole machine; the load
//! generator and Postgres take their share of it, as the report says. Responses other than 2xx
//! fail the run, and so does a ledger that does not hold exactly what was acknowledged.

#![allow(
    clippy::disallowed_methods,
    reason = "a benchmark reads the clock: there is no request whose context could give it"
)]
#![allow(clippy::float_arithmetic, reason = "latencies and rates are not money")]

mod arguments;
#[path = "../load/mod.rs"]
mod load;
mod report;
mod workload;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use turnpike_host::function_build;
use turnpike_host::postgres_cluster::Cluster;

use arguments::Arguments;
use load::credit_fixtures::Fixtures;
use load::figures::Measurement;
use load::generator::Phase;
use load::phase::{self, Subject};
use load::server_process::{Kind, ServerProcess};
use load::side_by_side::Row;
use report::{ColdStart, Report};
use workload::Scenario;

/// Each server has a database of its own, so that neither measures on what the other left.
const WASM_DATABASE: &str = "bench_wasm";
const NATIVE_DATABASE: &str = "bench_native";

/// What is measured with a new instance for every request: a function that needs nothing, one
/// that finds its answer in the cache, and one that asks Postgres.
const COLD: [Scenario; 3] = [
    Scenario::Health,
    Scenario::CachedBalance,
    Scenario::IndexedRead,
];

fn main() -> ExitCode {
    load::run::start(Arguments::parse, |arguments| &arguments.common, run)
}

async fn run(arguments: &Arguments, root: &Path, cluster: &Cluster) -> Result<Report> {
    let functions = function_build::build(root, None).await?;
    let (rows, cold_starts) = measure(arguments, root, cluster).await?;
    for database in [WASM_DATABASE, NATIVE_DATABASE] {
        load::fixtures::remove(cluster, database).await?;
    }
    Ok(Report {
        format: report::FORMAT,
        command: load::arguments::command_line("cargo turnpike bench smoke"),
        cores: std::thread::available_parallelism()?.get(),
        connections: usize::from(arguments.connections),
        warmup_secs: arguments.common.warmup_secs.as_secs_f64(),
        measured_secs: arguments.common.seconds.as_secs_f64(),
        rows,
        cold_starts,
        functions: load::run::sizes(functions),
    })
}

async fn measure(
    arguments: &Arguments,
    root: &Path,
    cluster: &Cluster,
) -> Result<(Vec<Row>, Vec<ColdStart>)> {
    let mut wasm_fixtures = Fixtures::create(cluster, WASM_DATABASE, root).await?;
    let mut native_fixtures = Fixtures::create(cluster, NATIVE_DATABASE, root).await?;
    let phase = Phase {
        connections: usize::from(arguments.connections),
        warmup: arguments.common.warmup_secs,
        measured: arguments.common.seconds,
    };

    // Both servers stay, and one of them is idle: it computes nothing then. Going route by route
    // keeps a machine whose speed drifts from favouring either.
    let wasm = ServerProcess::start(Kind::Wasm, root, &wasm_fixtures.db_url).await?;
    let native = ServerProcess::start(Kind::Native, root, &native_fixtures.db_url).await?;
    let mut rows = Vec::new();
    for scenario in Scenario::ALL {
        let on = async |kind, server: &ServerProcess, fixtures: &mut Fixtures| {
            measure_one(scenario, kind, server, fixtures, phase)
                .await
                .with_context(|| format!("{}, {}", scenario.name(), kind.name()))
        };
        rows.push(Row {
            route: scenario.name().to_owned(),
            wasm: on(Kind::Wasm, &wasm, &mut wasm_fixtures).await?,
            native: on(Kind::Native, &native, &mut native_fixtures).await?,
        });
    }
    native.stop().await?;
    wasm.stop().await?;

    let kind = Kind::WasmWithoutReuse;
    let server = ServerProcess::start(kind, root, &wasm_fixtures.db_url).await?;
    let phase = Phase {
        connections: 1,
        ..phase
    };
    let mut cold_starts = Vec::new();
    for scenario in COLD {
        let measured = measure_one(scenario, kind, &server, &mut wasm_fixtures, phase).await;
        cold_starts.push(ColdStart {
            route: scenario.name().to_owned(),
            wasm: measured.with_context(|| format!("{}, {}", scenario.name(), kind.name()))?,
        });
    }
    server.stop().await?;
    Ok((rows, cold_starts))
}

async fn measure_one(
    scenario: Scenario,
    kind: Kind,
    server: &ServerProcess,
    fixtures: &mut Fixtures,
    phase: Phase,
) -> Result<Measurement> {
    let run = u64::from_be_bytes(load::fixtures::random()?);
    let subject = Subject {
        label: format!("{} ({})", scenario.name(), kind.name()),
        server,
        workload: scenario.workload(fixtures, run),
        expected_hits_percent: scenario.expected_hits_percent(),
        database: Some(fixtures.client()),
    };
    let (measured, acknowledged) = phase::measure(subject, phase).await?;
    if scenario.consumes() {
        fixtures.check_ledger(acknowledged).await?;
    }
    Ok(measured)
}
