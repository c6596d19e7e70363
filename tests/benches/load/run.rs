//! A benchmark from its command line to its exit code.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use serde::de::DeserializeOwned;
use turnpike_host::function_build::BuiltFunction;
use turnpike_host::postgres_cluster::{Cluster, Durability};

use super::arguments::CommonArguments;
use super::comparison;
use super::figures::{Figures, Function};
use super::server_process;

/// Has a benchmark run in a debug build too, to try whether it works: its figures mean nothing.
const TRY_VARIABLE: &str = "TURNPIKE_BENCH_TRY";

/// The main function of a benchmark whose figures are those of the wasm host and compared row by
/// row.
pub fn start<A, R: Figures>(
    parse: impl FnOnce() -> A,
    common: impl Fn(&A) -> &CommonArguments,
    measure: impl AsyncFnOnce(&A, &Path, &Cluster) -> Result<R>,
) -> ExitCode {
    launch(parse, async |arguments: &A, root: &Path| {
        run(common(arguments), root, async |cluster: &Cluster| {
            measure(arguments, root, cluster).await
        })
        .await
    })
}

/// The main function of any benchmark: serves in a child, says so in a debug build, and runs in
/// the project's root otherwise.
pub fn launch<A>(
    parse: impl FnOnce() -> A,
    run: impl AsyncFnOnce(&A, &Path) -> Result<ExitCode>,
) -> ExitCode {
    let outcome = if server_process::is_child() {
        server_process::serve().map(|()| ExitCode::SUCCESS)
    } else if cfg!(debug_assertions) && std::env::var_os(TRY_VARIABLE).is_none() {
        println!("nothing is measured in a debug build: run `cargo bench -p turnpike-tests`");
        Ok(ExitCode::SUCCESS)
    } else {
        let arguments = parse();
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start the benchmark")
            .and_then(|runtime| runtime.block_on(async { run(&arguments, &project_root()?).await }))
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

/// Starts the Postgres that is only for benchmarks, and as durable as a real one.
///
/// # Errors
/// It does not start.
pub async fn start_cluster(root: &Path) -> Result<Cluster> {
    Cluster::start(&root.join(".turnpike/bench-postgres"), Durability::Durable).await
}

async fn run<R: Figures>(
    common: &CommonArguments,
    root: &Path,
    measure: impl AsyncFnOnce(&Cluster) -> Result<R>,
) -> Result<ExitCode> {
    // Before minutes of measuring, not after them.
    let baseline: Option<R> = match &common.compare {
        Some(path) => Some(read_report(&root.join(path))?),
        None => None,
    };
    let cluster = start_cluster(root).await?;
    let report = measure(&cluster).await?;
    cluster.stop().await?;

    print!("{}", report.to_text());
    if let Some(path) = &common.json {
        write_report(&root.join(path), &report)?;
    }
    let Some(baseline) = baseline else {
        return Ok(ExitCode::SUCCESS);
    };
    let comparison = comparison::compare(
        &report.compared(),
        &baseline.compared(),
        common.max_regression_percent,
    );
    comparison.print();
    Ok(if comparison.regressions.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The sizes of what was built.
pub fn sizes(functions: Vec<BuiltFunction>) -> Vec<Function> {
    functions
        .into_iter()
        .map(|function| Function {
            id: function.component_id,
            wasm_bytes: function.size_bytes,
        })
        .collect()
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

/// Writes figures as JSON. The path is a whole one: cargo starts a benchmark in its package's
/// folder, where nobody would look for a file.
///
/// # Errors
/// The file cannot be written.
pub fn write_report(path: &Path, report: &impl Serialize) -> Result<()> {
    write_file(path, &(serde_json::to_string_pretty(report)? + "\n"))
}

/// Writes a file.
///
/// # Errors
/// It cannot be written.
pub fn write_file(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Reads what [`write_report`] wrote.
///
/// # Errors
/// The file cannot be read, or has something else.
pub fn read_report<R: DeserializeOwned>(path: &Path) -> Result<R> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the baseline {}", path.display()))?;
    serde_json::from_str(&text)
        .with_context(|| format!("{} was not written by --json", path.display()))
}
