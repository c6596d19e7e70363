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
mod fixtures;
mod load;
mod native_baseline;
mod other_work;
mod report;
mod response;
mod server_process;
mod workload;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use turnpike_host::function_build;
use turnpike_host::postgres_cluster::{Cluster, Durability};

use arguments::Arguments;
use fixtures::Fixtures;
use load::{Outcome, Phase};
use report::{ColdStart, Function, Measurement, Report, Row};
use server_process::{Kind, ServerProcess};
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

/// How often the bar of a phase moves.
const BAR_TICK: Duration = Duration::from_millis(100);

fn main() -> ExitCode {
    let outcome = if server_process::is_child() {
        server_process::serve().map(|()| ExitCode::SUCCESS)
    } else if cfg!(debug_assertions) {
        println!("nothing is measured in a debug build: run `cargo bench -p turnpike-tests`");
        Ok(ExitCode::SUCCESS)
    } else {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start the benchmark")
            .and_then(|runtime| runtime.block_on(run(&Arguments::parse())))
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

async fn run(arguments: &Arguments) -> Result<ExitCode> {
    // Before minutes of measuring, not after them.
    let root = project_root()?;
    let baseline = match &arguments.compare {
        Some(path) => Some(read_report(&root.join(path))?),
        None => None,
    };
    let functions = function_build::build(&root, None).await?;
    let cluster =
        Cluster::start(&root.join(".turnpike/bench-postgres"), Durability::Durable).await?;

    let (rows, cold_starts) = measure(arguments, &root, &cluster).await?;
    for database in [WASM_DATABASE, NATIVE_DATABASE] {
        fixtures::remove(&cluster, database).await?;
    }
    cluster.stop().await?;

    let report = Report {
        format: report::FORMAT,
        command: arguments::command_line(),
        cores: std::thread::available_parallelism()?.get(),
        connections: usize::from(arguments.connections),
        warmup_secs: arguments.warmup_secs.as_secs_f64(),
        measured_secs: arguments.seconds.as_secs_f64(),
        rows,
        cold_starts,
        functions: functions
            .into_iter()
            .map(|function| Function {
                id: function.component_id,
                wasm_bytes: function.size_bytes,
            })
            .collect(),
    };
    print!("{}", report.to_text());
    if let Some(path) = &arguments.json {
        let json = serde_json::to_string_pretty(&report)?;
        // Cargo starts a benchmark in its package's folder, where nobody would look.
        let path = root.join(path);
        std::fs::write(&path, json + "\n")
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    let Some(baseline) = baseline else {
        return Ok(ExitCode::SUCCESS);
    };
    let comparison = report.compare(&baseline, arguments.max_regression_percent);
    println!("\nagainst the baseline");
    for note in &comparison.notes {
        println!("  {note}");
    }
    for regression in &comparison.regressions {
        println!("  REGRESSION {regression}");
    }
    Ok(if comparison.regressions.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
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
        warmup: arguments.warmup_secs,
        measured: arguments.seconds,
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
    let workload = scenario.workload(fixtures, u64::from_be_bytes(fixtures::random()?));
    fixtures.settle().await?;
    let before = other_work::busy_percent().await;
    let receiver = load::start(server.address(), workload, phase)?;
    let label = format!("{} ({})", scenario.name(), kind.name());
    let outcome = with_bar(&label, phase, async { receiver.await? }).await?;
    // Afterwards too, because what began meanwhile is likely to be still at it.
    let after = other_work::busy_percent().await;
    let other_work_percent = before.zip(after).map(|(before, after)| before.max(after));
    if scenario.consumes() {
        fixtures.check_ledger(outcome.acknowledged).await?;
    }
    summarize(scenario, &outcome, phase, other_work_percent)
}

/// Waits for a phase and shows how far it is.
async fn with_bar<T>(label: &str, phase: Phase, work: impl Future<Output = T>) -> T {
    let whole = phase.warmup + phase.measured;
    let bar = ProgressBar::new(u64::try_from(whole.as_millis()).unwrap_or(u64::MAX));
    let style = ProgressStyle::with_template("[{bar:30}] {msg}");
    if let Ok(style) = style {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_message(label.to_owned());
    if bar.is_hidden() {
        eprintln!("measuring {label}");
    }
    let began = Instant::now();
    let mut ticks = tokio::time::interval(BAR_TICK);
    let mut work = std::pin::pin!(work);
    let outcome = loop {
        tokio::select! {
            outcome = &mut work => break outcome,
            _ = ticks.tick() => {
                let done = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                bar.set_position(done);
            }
        }
    };
    bar.finish_and_clear();
    outcome
}

fn summarize(
    scenario: Scenario,
    outcome: &Outcome,
    phase: Phase,
    other_work_percent: Option<f64>,
) -> Result<Measurement> {
    let latencies = &outcome.latencies;
    let requests = latencies.len();
    ensure!(requests > 0, "no response came within the measured time");
    let hits_percent = 100 * outcome.cache_hits / requests;
    let expected = scenario.expected_hits_percent();
    ensure!(
        expected.contains(&hits_percent),
        "{hits_percent}% of the responses came from the cache, where {expected:?}% should: the row would not measure what it says"
    );
    Ok(Measurement {
        requests,
        requests_per_sec: requests as f64 / phase.measured.as_secs_f64(),
        p50_micros: latencies.value_at_quantile(0.50),
        p95_micros: latencies.value_at_quantile(0.95),
        p99_micros: latencies.value_at_quantile(0.99),
        max_micros: latencies.max(),
        generator_busy_percent: outcome.generator_busy_percent,
        other_work_percent,
    })
}

/// The folder of spin.toml, which holds this package.
fn project_root() -> Result<PathBuf> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = package
        .parent()
        .context("the package lies in no project")?
        .to_owned();
    ensure!(
        root.join("spin.toml").is_file(),
        "{} has no spin.toml: this program was built in a folder that has moved; build it again",
        root.display()
    );
    Ok(root)
}

fn read_report(path: &Path) -> Result<Report> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the baseline {}", path.display()))?;
    serde_json::from_str(&text)
        .with_context(|| format!("{} was not written by --json", path.display()))
}
