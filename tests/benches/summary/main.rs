//! `cargo bench -p turnpike-tests --bench summary`: summaries of usage over a month, with twenty
//! million events stored, and what is decided with usage: an entitlement and an estimate. On the
//! wasm host and on a native baseline that calls the same SQL functions; one at a time and many.
//!
//! The run fails if the meters do not have exactly the events that were stored, or if the two
//! servers answer differently.

#![allow(
    clippy::disallowed_methods,
    reason = "a benchmark reads the clock: there is no request whose context could give it"
)]
#![allow(clippy::float_arithmetic, reason = "latencies and rates are not money")]

mod arguments;
mod billing;
mod events;
mod fill;
#[path = "../load/mod.rs"]
mod load;
mod questions;
mod report;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use serde_json::Value;
use turnpike_host::function_build;
use turnpike_host::postgres_cluster::Cluster;

use arguments::Arguments;
use billing::Maker;
use fill::Filled;
use load::figures::Measurement;
use load::generator::{Connection, Phase};
use load::phase::{self, Subject};
use load::server_process::{Kind, ServerProcess};
use load::workload::Template;
use questions::{Question, Turn};
use report::{Report, Row, Stored};

/// Both servers read the same rows.
const DATABASE: &str = "bench_summary";

fn main() -> ExitCode {
    load::run::start(Arguments::parse, |arguments| &arguments.common, run)
}

async fn run(arguments: &Arguments, root: &Path, cluster: &Cluster) -> Result<Report> {
    function_build::build(root, None).await?;
    let report = measure(arguments, root, cluster).await;
    // Gigabytes, which nobody wants to keep after a failure either.
    load::fixtures::remove(cluster, DATABASE).await?;
    report
}

async fn measure(arguments: &Arguments, root: &Path, cluster: &Cluster) -> Result<Report> {
    let (events, organizations) = (arguments.events, arguments.organizations);
    let filled = fill::fill(cluster, DATABASE, root, events, organizations).await?;
    let wasm = ServerProcess::start(Kind::Wasm, root, &filled.db_url).await?;
    let native = ServerProcess::start(Kind::Native, root, &filled.db_url).await?;
    furnish(&filled, &wasm).await?;
    check_answers(&filled, &wasm, &native).await?;

    let phase = Phase {
        connections: 1,
        warmup: arguments.common.warmup_secs,
        measured: arguments.common.seconds,
    };
    let many = Phase {
        connections: usize::from(arguments.connections),
        ..phase
    };
    let mut rows = Vec::new();
    for (turn, phase) in [(Turn::Alone, phase), (Turn::SideBySide, many)] {
        for question in Question::ALL {
            let on = async |kind, server| {
                measure_one(question, turn, phase, kind, server, &filled).await
            };
            rows.push(Row {
                question: question.name().to_owned(),
                connections: phase.connections,
                is_made_anew: question.is_made_anew(),
                wasm: on(Kind::Wasm, &wasm).await?,
                native: on(Kind::Native, &native).await?,
            });
        }
    }
    native.stop().await?;
    wasm.stop().await?;
    Ok(Report {
        format: report::FORMAT,
        command: load::arguments::command_line("cargo turnpike bench summary"),
        cores: std::thread::available_parallelism()?.get(),
        warmup_secs: phase.warmup.as_secs_f64(),
        measured_secs: phase.measured.as_secs_f64(),
        stored: Stored {
            events,
            organizations,
            own_events: filled.own_events,
            days: filled.month.days,
            database_bytes: filled.bytes,
            elapsed_secs: filled.elapsed.as_secs_f64(),
        },
        rows,
    })
}

async fn measure_one(
    question: Question,
    turn: Turn,
    phase: Phase,
    kind: Kind,
    server: &ServerProcess,
    filled: &Filled,
) -> Result<Measurement> {
    let subject = Subject {
        label: format!(
            "{}, {} at a time ({})",
            question.name(),
            phase.connections,
            kind.name()
        ),
        server,
        workload: question.workload(filled.month, &filled.owner.token, turn),
        expected_hits_percent: question.expected_hits_percent(),
        database: Some(&filled.client),
    };
    let (measured, _) = phase::measure(subject, phase).await?;
    Ok(measured)
}

/// Makes what the entitlement and the estimate are of.
async fn furnish(filled: &Filled, server: &ServerProcess) -> Result<()> {
    let mut connection = Connection::open(server.address()).await?;
    for (maker, target, body) in billing::made() {
        let token = match maker {
            Maker::Owner => &filled.owner.token,
            Maker::Admin => &filled.admin.token,
        };
        let request = Template::post(&target, Some(token), "application/json", &body.to_string());
        let head = connection.exchange(request.as_bytes()).await?;
        ensure!(
            head.status == 201,
            "POST {target} was answered {}: {}",
            head.status,
            connection.quoted_body(head)
        );
    }
    Ok(())
}

/// Makes sure that both servers answer alike, and that the summary of the whole month has every
/// event in as many groups as there should be.
async fn check_answers(
    filled: &Filled,
    wasm: &ServerProcess,
    native: &ServerProcess,
) -> Result<()> {
    for question in Question::ALL {
        let by_wasm = ask(question, filled, wasm).await?;
        let by_native = ask(question, filled, native).await?;
        let name = question.name();
        ensure!(
            by_wasm == by_native,
            "{name}: the servers answer differently:\n{by_wasm}\n{by_native}"
        );
        let expected_groups = match question {
            Question::Entitlement | Question::Estimate => continue,
            Question::ByDayAndModel => events::MODELS,
            _ => 1,
        };
        let groups = by_wasm.pointer("/groups").and_then(Value::as_array);
        let groups = groups.with_context(|| format!("an answer without groups: {by_wasm}"))?;
        ensure!(
            groups.len() as u64 == expected_groups,
            "{name}: {} groups where {expected_groups} should be",
            groups.len()
        );
        let counted = groups
            .iter()
            .filter_map(|group| group.pointer("/events").and_then(Value::as_u64));
        let counted: u64 = counted.sum();
        ensure!(
            counted == filled.own_events || question == Question::OfOneSubject,
            "{name}: the summary has {counted} events of {}",
            filled.own_events
        );
    }
    Ok(())
}

async fn ask(question: Question, filled: &Filled, server: &ServerProcess) -> Result<Value> {
    let request = question.request(filled.month, &filled.owner.token);
    let mut connection = Connection::open(server.address()).await?;
    let head = connection.exchange(request.as_bytes()).await?;
    ensure!(
        head.status == 200,
        "{} was answered {}: {}",
        question.name(),
        head.status,
        connection.quoted_body(head)
    );
    Ok(serde_json::from_slice(connection.body(head))?)
}
