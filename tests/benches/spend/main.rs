//! `cargo bench -p turnpike-tests --bench spend`: spending credits from many connections at once,
//! all from one account and spread over 1,000, on the wasm host and on a native baseline that
//! calls the same SQL function.
//!
//! An answer of 409 or 503 asks for the same request again, and is counted; any other answer than
//! a 2xx fails the run. So does a ledger that does not hold exactly the
//! spends that were acknowledged, and a balance that is not what they left.

#![allow(
    clippy::disallowed_methods,
    reason = "a benchmark reads the clock: there is no request whose context could give it"
)]
#![allow(clippy::float_arithmetic, reason = "latencies and rates are not money")]

mod arguments;
#[path = "../load/mod.rs"]
mod load;
mod report;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use turnpike_host::function_build;
use turnpike_host::postgres_cluster::Cluster;

use arguments::Arguments;
use load::credit_fixtures::{Fixtures, Spenders};
use load::figures::Measurement;
use load::generator::Phase;
use load::phase::{self, Subject};
use load::server_process::{Kind, ServerProcess};
use load::side_by_side::Row;
use report::Report;

/// Each server has a database of its own, so that neither measures on what the other left.
const WASM_DATABASE: &str = "bench_spend_wasm";
const NATIVE_DATABASE: &str = "bench_spend_native";

/// What was paid for, as a product names it: each spend is counted under its names.
const NAMES: &str = r#","service":"chat","model":"small""#;

fn main() -> ExitCode {
    load::run::start(Arguments::read, |arguments| &arguments.common, run)
}

async fn run(arguments: &Arguments, root: &Path, cluster: &Cluster) -> Result<Report> {
    function_build::build(root, None).await?;
    let mut wasm_fixtures = Fixtures::create(cluster, WASM_DATABASE, root).await?;
    let mut native_fixtures = Fixtures::create(cluster, NATIVE_DATABASE, root).await?;
    let phase = Phase {
        connections: usize::from(arguments.connections),
        warmup: arguments.common.warmup_secs,
        measured: arguments.common.seconds,
    };

    // Both servers stay, and one of them is idle. Taking turns keeps a machine whose speed drifts
    // from favouring either.
    let wasm = ServerProcess::start(Kind::Wasm, root, &wasm_fixtures.db_url).await?;
    let native = ServerProcess::start(Kind::Native, root, &native_fixtures.db_url).await?;
    let mut rows = Vec::new();
    let mut acknowledged = 0;
    for spenders in [Spenders::Hot, Spenders::Spread] {
        let mut on = async |kind: Kind, server: &ServerProcess, fixtures: &mut Fixtures| {
            let measured = spend(spenders, kind, server, fixtures, phase).await;
            let (measured, spends) =
                measured.with_context(|| format!("{}, {}", spenders.row_name(), kind.name()))?;
            acknowledged += spends;
            anyhow::Ok(measured)
        };
        rows.push(Row {
            route: spenders.row_name().to_owned(),
            wasm: on(Kind::Wasm, &wasm, &mut wasm_fixtures).await?,
            native: on(Kind::Native, &native, &mut native_fixtures).await?,
        });
    }
    for server in [native, wasm] {
        server.stop().await?;
    }
    drop((wasm_fixtures, native_fixtures));
    for database in [WASM_DATABASE, NATIVE_DATABASE] {
        load::fixtures::remove(cluster, database).await?;
    }
    Ok(Report {
        format: report::FORMAT,
        command: load::arguments::command_line("cargo turnpike bench spend"),
        cores: std::thread::available_parallelism()?.get(),
        connections: usize::from(arguments.connections),
        warmup_secs: arguments.common.warmup_secs.as_secs_f64(),
        measured_secs: arguments.common.seconds.as_secs_f64(),
        rows,
        acknowledged,
    })
}

async fn spend(
    spenders: Spenders,
    kind: Kind,
    server: &ServerProcess,
    fixtures: &mut Fixtures,
    phase: Phase,
) -> Result<(Measurement, u64)> {
    let run = u64::from_be_bytes(load::fixtures::random()?);
    let subject = Subject {
        label: format!("{} ({})", spenders.row_name(), kind.name()),
        server,
        workload: fixtures.consumptions(spenders, NAMES, run),
        expected_hits_percent: 0..=0,
        database: Some(fixtures.client()),
    };
    let (measured, acknowledged) = phase::measure(subject, phase).await?;
    fixtures.check_ledger(acknowledged).await?;
    fixtures
        .check_balances(server, spenders, acknowledged)
        .await?;
    Ok((measured, acknowledged))
}
