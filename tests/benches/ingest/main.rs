//! `cargo bench -p turnpike-tests --bench ingest`: events of usage in batches of a thousand, one in
//! ten of them a duplicate, sent to the wasm host, beside a native loader that copies as many,
//! a row each.
//!
//! The run fails if the meters do not have exactly the events that were acknowledged.

#![allow(
    clippy::disallowed_methods,
    reason = "a benchmark reads the clock: there is no request whose context could give it"
)]
#![allow(clippy::float_arithmetic, reason = "latencies and rates are not money")]

mod arguments;
mod batches;
#[path = "../load/mod.rs"]
mod load;
mod native_copy;
mod report;
mod sending;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use tokio_postgres::Client;
use turnpike_host::function_build;
use turnpike_host::postgres_cluster::Cluster;

use arguments::Arguments;
use batches::{EVENTS_PER_BATCH, FRESH_PER_BATCH};
use load::fixtures::Registered;
use load::generator::{Phase, on_own_thread};
use load::server_process::{Kind, ServerProcess};
use report::Report;

const WASM_DATABASE: &str = "bench_ingest_wasm";
const NATIVE_DATABASE: &str = "bench_ingest_native";

fn main() -> ExitCode {
    load::run::start(Arguments::read, |arguments| &arguments.common, run)
}

/// A database with an organization that counts its events in two ways.
async fn prepare(
    cluster: &Cluster,
    database: &str,
    root: &Path,
) -> Result<(String, Client, Registered)> {
    let (db_url, client) = load::fixtures::create(cluster, database, root).await?;
    let user = load::fixtures::register(&client, 1)
        .await?
        .pop()
        .context("one user was registered")?;
    client
        .execute(
            "INSERT INTO meters (organization_id, id, slug, event_type, aggregation, value_property, group_by)
             VALUES ($1, owned_id($1, gen_random_uuid()), 'tokens', 'completion', 'sum', 'tokens', '{model}'),
                    ($1, owned_id($1, gen_random_uuid()), 'requests', 'completion', 'count', NULL, '{}')",
            &[&user.id],
        )
        .await?;
    Ok((db_url, client, user))
}

/// Fails unless each meter has this many events, and so has the table of them.
async fn check(client: &Client, table: &str, events: u64) -> Result<()> {
    let counts = format!(
        "SELECT sum(events)::bigint FROM usage_rollups GROUP BY meter_id
         UNION ALL SELECT count(*) FROM {table} UNION ALL SELECT count(*) FROM usage_event_keys"
    );
    let rows = client.query(&counts, &[]).await?;
    ensure!(rows.len() == 4, "two meters, the events and the keys");
    for row in rows {
        let counted: i64 = row.get(0);
        ensure!(
            u64::try_from(counted) == Ok(events),
            "{events} distinct events were acknowledged, but {counted} counted"
        );
    }
    Ok(())
}

async fn run(arguments: &Arguments, root: &Path, cluster: &Cluster) -> Result<Report> {
    function_build::build(root, None).await?;
    let phase = Phase {
        connections: usize::from(arguments.connections),
        warmup: arguments.common.warmup_secs,
        measured: arguments.common.seconds,
    };
    let run = u64::from_be_bytes(load::fixtures::random()?);

    let (db_url, client, user) = prepare(cluster, WASM_DATABASE, root).await?;
    let server = ServerProcess::start(Kind::Wasm, root, &db_url).await?;
    let (address, token) = (server.address(), user.token);
    let outcome = on_own_thread(move || sending::send_batches(address, token, run, phase))?;
    let wasm = outcome.await.context("the load generator ended")??;
    check(&client, "usage_events", wasm.acknowledged * FRESH_PER_BATCH).await?;
    server.stop().await?;
    drop(client);
    load::fixtures::remove(cluster, WASM_DATABASE).await?;

    let (db_url, client, user) = prepare(cluster, NATIVE_DATABASE, root).await?;
    native_copy::prepare(&client).await?;
    let outcome = on_own_thread(move || native_copy::load_batches(db_url, user.id, run, phase))?;
    let native = outcome.await.context("the loader ended")??;
    check(
        &client,
        "copied_events",
        native.acknowledged * EVENTS_PER_BATCH,
    )
    .await?;
    drop(client);
    load::fixtures::remove(cluster, NATIVE_DATABASE).await?;

    Ok(Report {
        format: report::FORMAT,
        command: load::arguments::command_line("cargo turnpike bench ingest"),
        cores: std::thread::available_parallelism()?.get(),
        connections: phase.connections,
        warmup_secs: phase.warmup.as_secs_f64(),
        measured_secs: phase.measured.as_secs_f64(),
        wasm: wasm.row(phase.measured),
        native: native.row(phase.measured),
    })
}
