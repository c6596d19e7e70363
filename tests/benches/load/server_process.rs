//! The measured servers. Each is a child process, this very program started again, so that both
//! are measured alike and neither shares anything with the load generator but the machine.
//!
//! The parent writes one line of JSON to the child's standard input, reads lines from its standard
//! output until one says where it listens, and ends it by closing its input. A parent that dies
//! closes it too, so a child never outlives its parent.

use std::collections::HashMap;
use std::io::{BufRead, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use clap::ValueEnum as _;
use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::oneshot;
use turnpike_host::{
    DEFAULT_CACHE_DIR, HandlerExport, Host, HostOptions, KeyValueOptions, LoadedApp,
};

use super::native_baseline;

/// Set in a child, to tell it from the benchmark itself.
const CHILD_VARIABLE: &str = "TURNPIKE_BENCH_SERVER";

/// Has the wasm host ask components by the export that it names.
const EXPORT_VARIABLE: &str = "TURNPIKE_HANDLER_EXPORT";

/// How long a server may take to start. The first start compiles the components, which takes up
/// to half a minute on a slow machine.
const START_PATIENCE: Duration = Duration::from_secs(180);

/// How long a server may take to end; the host drains for ten seconds at most.
const STOP_PATIENCE: Duration = Duration::from_secs(15);

/// Which server a child is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// The wasm host, with the defaults of `cargo run`.
    Wasm,
    /// The wasm host with a new instance for every request.
    WasmWithoutReuse,
    /// The same routes written natively.
    Native,
    /// The wasm host with components that do one thing each, and no database.
    Bare,
}

impl Kind {
    /// The manifest of what it serves, below the project's root.
    pub const fn manifest(self) -> &'static str {
        match self {
            Self::Bare => "tests/components/spin.toml",
            _ => "spin.toml",
        }
    }

    /// What the report calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Wasm => "wasm",
            Self::WasmWithoutReuse => "wasm, new instances",
            Self::Native => "native",
            Self::Bare => "bare components in wasm",
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Setup {
    kind: Kind,
    root: PathBuf,
    db_url: String,
    redis_url: Option<String>,
}

/// A running server.
pub struct ServerProcess {
    child: Child,
    stdin: Option<ChildStdin>,
    address: SocketAddr,
}

impl ServerProcess {
    /// Starts a server and waits until it listens.
    ///
    /// # Errors
    /// It does not; its reason is on standard error.
    pub async fn start(kind: Kind, root: &Path, db_url: &str) -> Result<Self> {
        Self::start_with_cache(kind, root, db_url, None).await
    }

    /// Starts a server whose cache is in Redis, if an address of one is given, and waits until it
    /// listens. The native baseline's is its own in any case.
    ///
    /// # Errors
    /// It does not; its reason is on standard error.
    pub async fn start_with_cache(
        kind: Kind,
        root: &Path,
        db_url: &str,
        redis_url: Option<&str>,
    ) -> Result<Self> {
        let bar = ProgressBar::new_spinner();
        bar.enable_steady_tick(Duration::from_millis(120));
        bar.set_message(format!("starting the server: {}", kind.name()));
        let setup = Setup {
            kind,
            root: root.to_owned(),
            db_url: db_url.to_owned(),
            redis_url: redis_url.map(str::to_owned),
        };
        let started = tokio::time::timeout(START_PATIENCE, Self::launch(&setup, &bar)).await;
        bar.finish_and_clear();
        started
            .context("it does not start listening")
            .flatten()
            .with_context(|| format!("cannot start the server: {}", kind.name()))
    }

    async fn launch(setup: &Setup, bar: &ProgressBar) -> Result<Self> {
        let kind = setup.kind;
        let mut child = Command::new(std::env::current_exe()?)
            .env(CHILD_VARIABLE, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut stdin = child.stdin.take().context("it has no standard input")?;
        let stdout = child.stdout.take().context("it has no standard output")?;
        // On the input and not on the command line, where every user of the machine could read
        // the password.
        let mut setup = serde_json::to_vec(setup)?;
        setup.push(b'\n');
        stdin.write_all(&setup).await?;
        stdin.flush().await?;
        let mut lines = BufReader::new(stdout).lines();
        while let Some(line) = lines.next_line().await? {
            if let Some(address) = line.strip_prefix("listening ") {
                return Ok(Self {
                    child,
                    stdin: Some(stdin),
                    address: address.parse()?,
                });
            }
            bar.set_message(format!("{}: {line}", kind.name()));
        }
        bail!("it ended: {}", child.wait().await?)
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Ends it in order.
    ///
    /// # Errors
    /// It does not end, or not well.
    pub async fn stop(mut self) -> Result<()> {
        self.stdin.take();
        let status = tokio::time::timeout(STOP_PATIENCE, self.child.wait())
            .await
            .context("a server does not end when told to")??;
        if !status.success() {
            bail!("a server ended badly: {status}");
        }
        Ok(())
    }
}

/// Whether this process is a child that is to serve.
pub fn is_child() -> bool {
    std::env::var_os(CHILD_VARIABLE).is_some()
}

/// Serves until the parent closes the standard input.
///
/// # Errors
/// The server cannot start.
pub fn serve() -> Result<()> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    let setup: Setup = serde_json::from_str(&line).context("not a setup")?;
    let (parent_left, end) = oneshot::channel();
    std::thread::spawn(move || {
        let _ = std::io::stdin().lock().read_to_end(&mut Vec::new());
        let _ = parent_left.send(());
    });
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        match setup.kind {
            Kind::Native => native_baseline::serve(&setup.db_url, say_listening, end).await,
            Kind::Wasm | Kind::WasmWithoutReuse | Kind::Bare => serve_wasm(&setup, end).await,
        }
    })
}

/// By what components are asked: as `turnpike up` with the same variable.
fn handler_export() -> Result<HandlerExport> {
    match std::env::var(EXPORT_VARIABLE) {
        Ok(name) => HandlerExport::from_str(&name, false)
            .map_err(|_| anyhow!("{EXPORT_VARIABLE} is {name:?}: write plain or wasi-http")),
        Err(_) => Ok(HandlerExport::default()),
    }
}

async fn serve_wasm(setup: &Setup, end: oneshot::Receiver<()>) -> Result<()> {
    let manifest = setup.root.join(setup.kind.manifest());
    let cache_dir = setup.root.join(DEFAULT_CACHE_DIR);
    let app = LoadedApp::load(&manifest, Some(&cache_dir), |done, total, id| {
        say(&format!("component {done} of {total}, {id}"))
    })
    .await?;
    let mut options = HostOptions {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        variables: HashMap::from([("db_url".to_owned(), setup.db_url.clone())]),
        export: handler_export()?,
        ..HostOptions::default()
    };
    if let Some(url) = &setup.redis_url {
        options.key_value = KeyValueOptions::Redis { url: url.clone() };
    }
    if setup.kind == Kind::WasmWithoutReuse {
        options.reuse.max_requests = 1;
        options.reuse.max_concurrent = 1;
    }
    let host = Host::start(app, options).await?;
    say_listening(host.address());
    // Whether the parent closed its end or is gone, it is over.
    let _ = end.await;
    host.shutdown().await
}

fn say_listening(address: SocketAddr) {
    say(&format!("listening {address}"));
}

/// A parent that has left does not listen, and is noticed otherwise.
fn say(line: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}
