//! `cargo turnpike bench all`: every benchmark that has a target in one run, each for a short time;
//! every operation beside its native baseline, and every target beside what was measured.
//! `--write` keeps both in docs/performance.json and docs/performance.md.
//!
//! Fails when a benchmark fails, or with `--baseline` when a p95 grew by more than it may. A target
//! that is missed is said, and is no failure.

#![allow(
    clippy::disallowed_methods,
    reason = "a benchmark reads the clock: there is no request whose context could give it"
)]
#![allow(clippy::float_arithmetic, reason = "latencies and rates are not money")]

mod arguments;
#[path = "../load/mod.rs"]
mod load;
mod report;
mod targets;

use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use serde_json::Value;
use tokio::process::Command;

use arguments::Arguments;
use load::comparison;
use load::figures::Figures as _;
use load::machine::Machine;
use report::Report;
use targets::Figures;

/// A benchmark, and how it is run for a short time.
struct Part {
    name: &'static str,
    options: Vec<String>,
    /// Whether its exit status may be 1, because it is one of its own thresholds that says so.
    may_miss: bool,
}

fn main() -> ExitCode {
    load::run::launch(Arguments::parse, run)
}

async fn run(arguments: &Arguments, root: &Path) -> Result<ExitCode> {
    // Before minutes of measuring, not after them.
    let baseline: Option<Report> = match &arguments.baseline {
        Some(path) => Some(load::run::read_report(&root.join(path))?),
        None => None,
    };
    let targets = targets::all()?;
    let parts = parts(arguments);
    build(root, &parts).await?;
    let folder = root.join(".turnpike").join("bench-all");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let date = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let began = Instant::now();
    let mut figures = Figures::new();
    let mut commands = Vec::new();
    for part in &parts {
        let found = run_part(root, &folder, part).await?;
        figures.insert(part.name.to_owned(), found);
        let line = format!(
            "cargo turnpike bench {} {}",
            part.name,
            part.options.join(" ")
        );
        commands.push(line.trim_end().to_owned());
        eprintln!("{}: done after {} s", part.name, began.elapsed().as_secs());
    }
    let stored = figures.get("summary");
    let stored = stored.and_then(|summary| summary.pointer("/stored/events")?.as_u64());
    let report = Report {
        format: report::FORMAT,
        command: load::arguments::command_line("cargo turnpike bench all"),
        machine: Machine::describe(root, date).await?,
        elapsed_secs: began.elapsed().as_secs_f64(),
        commands,
        operations: Report::operations_of(&figures)?,
        targets: targets::hold(&targets, &figures)?,
        stored_events: stored,
    };

    print!("{}", report.to_text());
    if let Some(path) = &arguments.json {
        load::run::write_report(&root.join(path), &report)?;
    }
    if arguments.write {
        let path = root.join("docs/performance.json");
        load::run::write_report(&path, &report)?;
        // Of what was written, so that a figure which changes on the way is the same in both.
        let kept: Report = load::run::read_report(&path)?;
        load::run::write_file(&root.join("docs/performance.md"), &kept.document())?;
    }
    if !report.reaches_all() {
        println!("\nnot every target is reached");
    }
    let Some(baseline) = baseline else {
        return Ok(ExitCode::SUCCESS);
    };
    let comparison = comparison::compare(
        &report.compared(),
        &baseline.compared(),
        arguments.max_regression_percent,
    );
    comparison.print();
    Ok(if comparison.regressions.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The benchmarks with targets, each as long as half a minute to a minute and a half allow.
fn parts(arguments: &Arguments) -> Vec<Part> {
    let secs = |share: f64| {
        let secs = arguments.seconds.as_secs_f64() * share;
        // Less measures nothing, see the options of the benchmarks.
        format!("{:.1}", secs.max(0.5))
    };
    let part = |name, options: &[&str]| Part {
        name,
        options: options.iter().map(|&option| option.to_owned()).collect(),
        may_miss: false,
    };
    vec![
        part("smoke", &["--seconds", &secs(1.0), "--warmup-secs", "1"]),
        part("auth", &["--seconds", &secs(1.0), "--warmup-secs", "1"]),
        part("ingest", &["--seconds", &secs(3.0), "--warmup-secs", "1"]),
        part(
            "summary",
            &[
                "--seconds",
                &secs(0.4),
                "--warmup-secs",
                "0.5",
                "--events",
                &arguments.events.to_string(),
            ],
        ),
        part("rating", &["--rounds", "9"]),
        Part {
            may_miss: true,
            // As many requests as so few users can make, so that what is cold at first soon is the
            // smaller part.
            ..part(
                "personas",
                &[
                    "load",
                    "--seconds",
                    &secs(10.0),
                    "--users",
                    "32",
                    "--pause-ms",
                    "0,0",
                ],
            )
        },
    ]
}

/// Builds all of them first, so that no part measures while another is built.
async fn build(root: &Path, parts: &[Part]) -> Result<()> {
    let mut cargo = cargo(root);
    cargo.args(["bench", "-p", "turnpike-tests", "--no-run"]);
    for part in parts {
        cargo.args(["--bench", part.name]);
    }
    let status = cargo.status().await.context("cannot run cargo")?;
    ensure!(status.success(), "the benchmarks cannot be built");
    Ok(())
}

async fn run_part(root: &Path, folder: &Path, part: &Part) -> Result<Value> {
    let path: PathBuf = folder.join(part.name).with_extension("json");
    // What an earlier run left must not pass for this one's.
    if path.exists() {
        std::fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    let mut cargo = cargo(root);
    cargo
        .args(["bench", "-p", "turnpike-tests", "--bench", part.name, "--"])
        .args(&part.options)
        .arg("--json")
        .arg(&path);
    let patience = Duration::from_secs(3_600);
    let status = tokio::time::timeout(patience, cargo.status()).await;
    let status = status.with_context(|| format!("{} does not end", part.name))??;
    ensure!(
        status.success() || (part.may_miss && status.code() == Some(1) && path.exists()),
        "{} failed: {status}",
        part.name
    );
    load::run::read_report(&path)
}

/// Cargo, whose children are this process's and end with it.
fn cargo(root: &Path) -> Command {
    let mut cargo = std::process::Command::new("cargo");
    turnpike_host::function_build::clear_build_environment(&mut cargo);
    cargo.current_dir(root).stdin(Stdio::null());
    let mut cargo = Command::from(cargo);
    cargo.kill_on_drop(true);
    cargo
}
