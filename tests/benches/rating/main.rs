//! `cargo bench -p turnpike-tests --bench rating`: what one invoice line of a graduated charge with
//! ten tiers takes, natively and in the wasm host, in the same run and by the same code.

#![allow(
    clippy::disallowed_methods,
    reason = "a benchmark reads the clock: there is no request whose context could give it"
)]
#![allow(clippy::float_arithmetic, reason = "times are not money")]

#[path = "../load/mod.rs"]
mod load;
mod report;

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use rating_bench::Detail;
use serde::Deserialize;
use shared::rating::{Charge, ExactAmount, Usage};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use turnpike_host::Manifest;
use turnpike_host::function_build::{self, Progress};

use load::server_process::{self, Kind, ServerProcess};
use report::{Report, Row};

/// Measures the time of one invoice line, natively and in wasm.
#[derive(Debug, Parser)]
#[command(name = "rating")]
struct Arguments {
    /// Lines of one round
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    lines: u32,
    /// Rounds of each kind, natively and in wasm by turns; the median counts
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    rounds: u16,
    /// Also writes the figures to this file; a relative path starts at the project's root
    #[arg(long, value_name = "PATH")]
    json: Option<std::path::PathBuf>,
    /// What `cargo bench` adds by itself
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let outcome = if server_process::is_child() {
        server_process::serve()
    } else if cfg!(debug_assertions) {
        println!("nothing is measured in a debug build: run `cargo bench -p turnpike-tests`");
        Ok(())
    } else {
        let arguments = Arguments::parse();
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start the benchmark")
            .and_then(|runtime| runtime.block_on(run(&arguments)))
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<()> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = package.parent().context("the package lies in no project")?;
    let measures = Manifest::read(&root.join(Kind::Bare.manifest()))?;
    function_build::build_with(&measures, None, Progress::Shown).await?;
    let server = ServerProcess::start(Kind::Bare, root, "").await?;

    let charge = rating_bench::graduated()?;
    let usages = rating_bench::quantities();
    let mut rows = Vec::new();
    for detail in Detail::ALL {
        rows.push(measure(server.address(), &charge, &usages, detail, arguments).await?);
    }
    server.stop().await?;

    let report = Report {
        lines: arguments.lines,
        rounds: arguments.rounds,
        tiers: rating_bench::TIERS,
        rows,
    };
    print!("{}", report.to_text());
    if let Some(path) = &arguments.json {
        let path = root.join(path);
        std::fs::write(&path, serde_json::to_string_pretty(&report)? + "\n")
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Rounds by turns, so that nothing that changes over time favours either. The first of each is
/// not counted.
async fn measure(
    address: SocketAddr,
    charge: &Charge,
    usages: &[Usage],
    detail: Detail,
    arguments: &Arguments,
) -> Result<Row> {
    let (mut native, mut wasm) = (Vec::new(), Vec::new());
    for round in 0..=arguments.rounds {
        let began = Instant::now();
        let total = rating_bench::rate_lines(charge, usages, detail, arguments.lines)?;
        let native_nanos = u64::try_from(began.elapsed().as_nanos())?;
        let answer = ask(address, detail, arguments.lines).await?;
        ensure!(
            answer.total == total,
            "wasm rates {}, and the native code {total}",
            answer.total
        );
        if round > 0 {
            native.push(native_nanos);
            wasm.push(answer.nanos);
        }
    }
    Ok(Row {
        detail: detail.name().to_owned(),
        native_nanos: report::median_per_line(native, arguments.lines),
        wasm_nanos: report::median_per_line(wasm, arguments.lines),
    })
}

/// What the component answers.
#[derive(Deserialize)]
struct Answer {
    nanos: u64,
    total: ExactAmount,
}

async fn ask(address: SocketAddr, detail: Detail, lines: u32) -> Result<Answer> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!(
        "POST /bare-rating/{}/{lines} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         content-length: 0\r\n\r\n",
        detail.name()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut response = String::new();
    stream.read_to_string(&mut response).await?;
    let (head, body) = response
        .split_once("\r\n\r\n")
        .context("the component does not answer")?;
    ensure!(
        head.starts_with("HTTP/1.1 200"),
        "the component answers {head}\n{body}"
    );
    serde_json::from_str(body).context("the component does not answer in JSON")
}
