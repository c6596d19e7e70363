//! `cargo bench -p turnpike-tests --bench auth`: what sign-in costs. Introspection from the cache
//! beside a native baseline; sign-ins beside bare Argon2id in the same wasm host; and whether the
//! time of a refused sign-in tells which emails are known.

#![allow(
    clippy::disallowed_methods,
    reason = "a benchmark reads the clock: there is no request whose context could give it"
)]
#![allow(clippy::float_arithmetic, reason = "latencies and rates are not money")]

mod arguments;
mod fixtures;
#[path = "../load/mod.rs"]
mod load;
mod report;
mod timing;
mod workload;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use turnpike_host::Manifest;
use turnpike_host::function_build::{self, Progress};
use turnpike_host::postgres_cluster::Cluster;

use arguments::Arguments;
use fixtures::Fixtures;
use load::figures::Measurement;
use load::generator::Phase;
use load::phase::{self, Subject};
use load::server_process::{Kind, ServerProcess};
use load::workload::Workload;
use report::{Introspection, Login, Parameters, Report};

/// Each server has a database of its own, so that neither measures on what the other left.
const WASM_DATABASE: &str = "bench_auth_wasm";
const NATIVE_DATABASE: &str = "bench_auth_native";

fn main() -> ExitCode {
    load::run::start(Arguments::parse, |arguments| &arguments.common, run)
}

async fn run(arguments: &Arguments, root: &Path, cluster: &Cluster) -> Result<Report> {
    let functions = function_build::build(root, None).await?;
    let measures = Manifest::read(&root.join(Kind::Bare.manifest()))?;
    function_build::build_with(&measures, None, Progress::Shown).await?;

    let wasm_fixtures = Fixtures::create(cluster, WASM_DATABASE, root).await?;
    let native_fixtures = Fixtures::create(cluster, NATIVE_DATABASE, root).await?;
    // All servers stay; those that are not asked compute nothing.
    let wasm = ServerProcess::start(Kind::Wasm, root, &wasm_fixtures.db_url).await?;
    let native = ServerProcess::start(Kind::Native, root, &native_fixtures.db_url).await?;
    let bare = ServerProcess::start(Kind::Bare, root, "").await?;

    let phase = Phase {
        connections: usize::from(arguments.connections),
        warmup: arguments.common.warmup_secs,
        measured: arguments.common.seconds,
    };
    let introspection = Introspection {
        wasm: introspect(&wasm, Kind::Wasm, &wasm_fixtures, phase).await?,
        native: introspect(&native, Kind::Native, &native_fixtures, phase).await?,
    };
    let mut logins = Vec::new();
    for connections in &arguments.login_connections {
        let phase = Phase {
            connections: usize::from(*connections),
            ..phase
        };
        logins.push(Login {
            connections: phase.connections,
            bare: hash(&bare, workload::OWN_PARAMETERS, phase).await?,
            login: sign_in(&wasm, &wasm_fixtures, phase).await?,
        });
    }
    let timing = timing::measure(&wasm, &wasm_fixtures).await?;
    let parameters = if arguments.parameters {
        measure_parameters(&bare, arguments, phase).await?
    } else {
        Vec::new()
    };
    for server in [bare, native, wasm] {
        server.stop().await?;
    }
    drop((wasm_fixtures, native_fixtures));
    for database in [WASM_DATABASE, NATIVE_DATABASE] {
        load::fixtures::remove(cluster, database).await?;
    }
    Ok(Report {
        format: report::FORMAT,
        command: load::arguments::command_line("cargo turnpike bench auth"),
        cores: std::thread::available_parallelism()?.get(),
        connections: usize::from(arguments.connections),
        warmup_secs: arguments.common.warmup_secs.as_secs_f64(),
        measured_secs: arguments.common.seconds.as_secs_f64(),
        introspection,
        logins,
        timing,
        parameters,
        functions: load::run::sizes(functions),
    })
}

async fn introspect(
    server: &ServerProcess,
    kind: Kind,
    fixtures: &Fixtures,
    phase: Phase,
) -> Result<Measurement> {
    let subject = Subject {
        label: format!("POST auth/introspect, cached ({})", kind.name()),
        server,
        workload: workload::introspections(fixtures),
        // Entries expire after a minute, so not quite all are.
        expected_hits_percent: 99..=100,
        database: Some(fixtures.client()),
    };
    Ok(phase::measure(subject, phase).await?.0)
}

async fn sign_in(server: &ServerProcess, fixtures: &Fixtures, phase: Phase) -> Result<Measurement> {
    let label = format!("POST auth/login, {} connections", phase.connections);
    let workload = workload::logins(fixtures);
    uncached(label, server, workload, Some(fixtures), phase).await
}

async fn hash(server: &ServerProcess, parameters: &str, phase: Phase) -> Result<Measurement> {
    let label = format!("bare {parameters}, {} connections", phase.connections);
    let workload = workload::bare_hashes(parameters);
    uncached(label, server, workload, None, phase).await
}

async fn uncached(
    label: String,
    server: &ServerProcess,
    workload: Workload,
    fixtures: Option<&Fixtures>,
    phase: Phase,
) -> Result<Measurement> {
    let subject = Subject {
        label,
        server,
        workload,
        expected_hits_percent: 0..=0,
        database: fixtures.map(Fixtures::client),
    };
    Ok(phase::measure(subject, phase).await?.0)
}

async fn measure_parameters(
    server: &ServerProcess,
    arguments: &Arguments,
    phase: Phase,
) -> Result<Vec<Parameters>> {
    let mut rows = Vec::new();
    for connections in &arguments.login_connections {
        let phase = Phase {
            connections: usize::from(*connections),
            ..phase
        };
        for parameters in workload::PARAMETERS {
            rows.push(Parameters {
                parameters: parameters.to_owned(),
                connections: phase.connections,
                bare: hash(server, parameters, phase)
                    .await
                    .with_context(|| parameters.to_owned())?,
            });
        }
    }
    Ok(rows)
}
