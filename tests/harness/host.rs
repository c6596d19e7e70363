//! A host of a test's own, on a database of its own.

use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::config::Host as PostgresHost;
use tokio_postgres::{Client, Config};
use turnpike_host::{
    CapturedLog, HandlerExport, Host, HostOptions, InstanceReuse, KeyValueOptions, KeyValueStore,
    LoadedApp, LogSink,
};

use crate::api::Api;
use crate::database::{TestDatabase, connect_without_timeouts};
use crate::environment::environment;
use crate::openmetrics::Exposition;
use crate::times::Stopwatch;

/// Connections to Postgres of one host. Several tests run at once, and the server takes 500.
const POSTGRES_POOL_SIZE: usize = 16;

/// The memory store of one host: 16 MiB are some 30,000 entries of 500 bytes.
const KEY_VALUE_BYTES: u64 = 16 * 1024 * 1024;

/// Lines of the log that a failed test shows. The lines of the request that failed are shown
/// with it.
const LOG_LINES_SHOWN: usize = 50;

/// How long requests in flight may take at the end of a test, on a busy machine too.
const DRAIN_PATIENCE: Duration = Duration::from_secs(60);

/// How long what a test left running may take to end.
const RUNTIME_END_PATIENCE: Duration = Duration::from_secs(1);

/// How instances are reused between requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reuse {
    /// As under `spin up`: 128 requests each, 16 of them at once.
    Pooled,
    /// One request each.
    Fresh,
}

/// How a test wants its host.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How instances are reused.
    pub reuse: Reuse,
    /// What components are asked by.
    pub export: HandlerExport,
    /// Where the cache lives.
    pub key_value: KeyValueOptions,
    /// A migrated database that the test looks after itself; otherwise a fresh one is made.
    pub database_url: Option<String>,
    /// Connections to Postgres that the host keeps.
    pub postgres_pool_size: usize,
    /// Variables of `spin.toml` beside those that lead to the database, as name and value.
    pub variables: Vec<(String, String)>,
    /// Files to take instead of those that `spin.toml` names, by component.
    pub sources: BTreeMap<String, PathBuf>,
    /// Whether the host shows its metrics, and logs a line for each request.
    pub is_observed: bool,
    /// Where the host sends its traces.
    pub collector: Option<String>,
}

impl Settings {
    /// Reused instances, a cache in memory and a fresh database.
    pub fn pooled() -> Self {
        Self {
            reuse: Reuse::Pooled,
            export: export_of_this_test(),
            key_value: KeyValueOptions::Memory {
                max_bytes: KEY_VALUE_BYTES,
            },
            database_url: None,
            postgres_pool_size: POSTGRES_POOL_SIZE,
            variables: Vec::new(),
            sources: BTreeMap::new(),
            is_observed: false,
            collector: None,
        }
    }

    /// As [`Settings::pooled`], with a fresh instance for every request.
    pub fn fresh() -> Self {
        Self {
            reuse: Reuse::Fresh,
            ..Self::pooled()
        }
    }

    /// The same with components asked by `export`.
    #[must_use]
    pub fn with_export(self, export: HandlerExport) -> Self {
        Self { export, ..self }
    }

    /// The same with another cache.
    #[must_use]
    pub fn with_key_value(self, key_value: KeyValueOptions) -> Self {
        Self { key_value, ..self }
    }

    /// The same with as many connections to Postgres.
    #[must_use]
    pub fn with_postgres_pool_size(self, postgres_pool_size: usize) -> Self {
        Self {
            postgres_pool_size,
            ..self
        }
    }

    /// The same with a variable of `spin.toml` set.
    #[must_use]
    pub fn with_variable(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    /// The same with another `.wasm` for a component, as
    /// [`test_component`](crate::environment::test_component) builds them.
    #[must_use]
    pub fn with_source(mut self, component: &str, wasm: impl Into<PathBuf>) -> Self {
        self.sources.insert(component.to_owned(), wasm.into());
        self
    }

    /// The same with metrics shown, and a line in the log for each request.
    #[must_use]
    pub fn observed(self) -> Self {
        Self {
            is_observed: true,
            ..self
        }
    }

    /// The same with traces sent to a collector.
    #[must_use]
    pub fn with_collector(self, address: String) -> Self {
        Self {
            collector: Some(address),
            ..self
        }
    }

    /// The same on another database.
    #[must_use]
    pub fn with_database_url(self, url: impl Into<String>) -> Self {
        Self {
            database_url: Some(url.into()),
            ..self
        }
    }
}

/// What the components of the running test are asked by, unless it says so itself: half of the
/// tests take the one and half the other, each always the same, by its name. `TURNPIKE_TEST_EXPORT`
/// has all of them take `plain` or `wasi-http`.
fn export_of_this_test() -> HandlerExport {
    const VARIABLE: &str = "TURNPIKE_TEST_EXPORT";
    match std::env::var(VARIABLE).as_deref() {
        Ok("plain") => return HandlerExport::Plain,
        Ok("wasi-http") => return HandlerExport::WasiHttp,
        Ok(other) => panic!("{VARIABLE} is {other:?}: write plain or wasi-http"),
        Err(_) => {}
    }
    let thread = std::thread::current();
    let name = thread.name().unwrap_or_default().bytes();
    // The parity of the name's bits, which is as good as a coin.
    if name.fold(0, |sum: u8, byte| sum ^ byte).count_ones() % 2 == 0 {
        HandlerExport::Plain
    } else {
        HandlerExport::WasiHttp
    }
}

impl Reuse {
    fn instances(self) -> InstanceReuse {
        let (max_requests, max_concurrent) = match self {
            Self::Pooled => (128, 16),
            Self::Fresh => (1, 1),
        };
        InstanceReuse {
            max_requests,
            max_concurrent,
            idle_timeout: Duration::from_secs(1),
        }
    }
}

/// A running host. Requests are built on it directly, as on an [`Api`].
pub struct TestHost {
    api: Api,
    host: Option<Host>,
    database: Option<TestDatabase>,
    database_url: String,
    db: Client,
    log: CapturedLog,
    reuse: Reuse,
    export: HandlerExport,
    fails_on_deadlock: AtomicBool,
}

impl Deref for TestHost {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.api
    }
}

/// Runs a test on a host of its own, then shuts the host down and checks that the books are
/// sound.
pub fn run(settings: Settings, test: impl AsyncFnOnce(&TestHost)) {
    let how = match settings.reuse {
        Reuse::Pooled => "own",
        Reuse::Fresh => "own fresh",
    };
    let runtime = new_runtime();
    let mut stopwatch = Stopwatch::start();
    runtime.block_on(async {
        let host = TestHost::start(settings).await;
        stopwatch.host_is_ready();
        test(&host).await;
        stopwatch.test_has_ended();
        host.finish().await;
    });
    stop_runtime(runtime);
    stopwatch.finish(how);
}

/// What is said of a session that waits for a lock.
pub const BLOCKED: &str = "wait_event_type = 'Lock'";

/// Runs a test that starts its hosts itself.
pub fn block_on(test: impl Future<Output = ()>) {
    let runtime = new_runtime();
    let mut stopwatch = Stopwatch::start();
    stopwatch.host_is_ready();
    runtime.block_on(test);
    stop_runtime(runtime);
    stopwatch.finish("several");
}

/// A runtime for one test.
fn new_runtime() -> Runtime {
    // Prepared here, because preparing blocks and must not happen on a runtime's thread.
    environment();
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap_or_else(|error| panic!("cannot start a runtime: {error}"))
}

/// Ends a runtime and what tests have left running on it.
fn stop_runtime(runtime: Runtime) {
    runtime.shutdown_timeout(RUNTIME_END_PATIENCE);
}

/// Starts a host on a free port.
///
/// # Errors
/// When the database's address cannot be read or the host does not start.
pub async fn start_host(
    app: &Arc<LoadedApp>,
    settings: Settings,
    database_url: &str,
    log: LogSink,
) -> Result<Host> {
    let mut variables = variables(database_url)?;
    variables.extend(settings.variables);
    let options = HostOptions {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        variables,
        key_value: settings.key_value,
        reuse: settings.reuse.instances(),
        export: settings.export,
        postgres_pool_size: settings.postgres_pool_size,
        log,
        logs_requests: settings.is_observed,
        otlp_endpoint: settings.collector,
        metrics_listen: settings
            .is_observed
            .then_some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
        drain_timeout: DRAIN_PATIENCE,
        ..HostOptions::default()
    };
    let app = if settings.sources.is_empty() {
        Arc::clone(app)
    } else {
        app.with_sources(&settings.sources).await?
    };
    Host::start(app, options).await
}

/// Whom JWTs of a test may be for, beside Turnpike itself.
const TOKEN_AUDIENCES: &str = "api https://api.example https://api.example/v1";

/// The variables of `spin.toml` that lead to a database, and what tests of everything
/// need of the others.
fn variables(database_url: &str) -> Result<HashMap<String, String>> {
    let config: Config = database_url
        .parse()
        .context("the address of the test database cannot be read")?;
    let host = match config.get_hosts().first() {
        Some(PostgresHost::Tcp(name)) => name.clone(),
        _ => {
            anyhow::bail!("the test database must be reached over TCP: components know no sockets")
        }
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    Ok(HashMap::from([
        ("db_url".to_owned(), database_url.to_owned()),
        ("db_host".to_owned(), host),
        ("db_port".to_owned(), port.to_string()),
        ("token_audiences".to_owned(), TOKEN_AUDIENCES.to_owned()),
    ]))
}

impl TestHost {
    /// Starts a host on a free port, and clones a database for it unless it is given one.
    pub async fn start(settings: Settings) -> Self {
        Self::try_start(settings)
            .await
            .unwrap_or_else(|error| panic!("the test's host does not start: {error:#}"))
    }

    async fn try_start(settings: Settings) -> Result<Self> {
        let environment = environment();
        let (reuse, export) = (settings.reuse, settings.export);
        let (database, database_url) = match settings.database_url.clone() {
            Some(url) => (None, url),
            None => {
                let database = environment.databases.create().await?;
                let url = database.url.clone();
                (Some(database), url)
            }
        };
        let (sink, log) = LogSink::capture();
        let host = start_host(&environment.app, settings, &database_url, sink).await?;
        let description = Arc::clone(&environment.description);
        Ok(Self {
            api: Api::new(host.address(), description, Some(log.clone())),
            host: Some(host),
            database,
            db: connect_without_timeouts(&database_url).await?,
            database_url,
            log,
            reuse,
            export,
            fails_on_deadlock: AtomicBool::new(false),
        })
    }

    /// A connection to the test's database, beside the host's own.
    pub fn db(&self) -> &Client {
        &self.db
    }

    /// The address of the test's database.
    pub fn database_url(&self) -> &str {
        &self.database_url
    }

    /// The host's key-value store, to look into and to spoil.
    pub fn key_value(&self) -> &KeyValueStore {
        match &self.host {
            Some(host) => host.key_value(),
            None => panic!("the host was shut down, and its cache with it"),
        }
    }

    /// The host's metrics, of a test that has it observed.
    pub async fn metrics(&self) -> Exposition {
        let address = self.host.as_ref().and_then(Host::metrics_address);
        let address = address.expect("the settings of the test must be `observed`");
        Exposition::read_from(address).await
    }

    /// How instances are reused.
    pub fn reuse(&self) -> Reuse {
        self.reuse
    }

    /// What the host and its components have logged.
    pub fn log_lines(&self) -> Vec<String> {
        self.log.lines()
    }

    /// Prints the end of the log, for a test that has failed.
    fn print_log(&self) {
        println!("components were asked by: {:?}", self.export);
        let lines = self.log_lines();
        for line in &lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..] {
            println!("log: {line}");
        }
    }

    /// Makes the test fail when statements came to wait for each other in a circle. Postgres ends
    /// one of them, which is sent again, so that no answer tells of it. To be called before the host
    /// has connections: they look for circles soon, and not after a second, when they give up.
    pub async fn fail_on_deadlock(&self) {
        self.execute(
            "DO $$ BEGIN
                 -- Others may not set it, and find the fewer.
                 IF current_setting('is_superuser')::boolean THEN
                     EXECUTE format('ALTER DATABASE %I SET deadlock_timeout = ''20ms''', current_database());
                 END IF;
             END $$",
        )
        .await;
        self.fails_on_deadlock.store(true, Ordering::Relaxed);
    }

    /// How many deadlocks there were. A session counts its own when it ends, so the host must have
    /// been shut down, and waits for the others here.
    pub async fn deadlocks(&self) -> i64 {
        self.until_sessions("backend_type = 'client backend'", |count| count == 0)
            .await;
        let sql = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
        self.query(sql).await[0].get(0)
    }

    async fn assert_no_deadlock(&self) {
        assert_eq!(
            self.deadlocks().await,
            0,
            "statements waited for each other: what they lock must have one order. The log of \
             Postgres has them, after `deadlock detected`"
        );
    }

    /// Shuts the host down, and leaves the database.
    pub async fn shut_down(&mut self) {
        if let Some(host) = self.host.take() {
            host.shutdown()
                .await
                .unwrap_or_else(|error| panic!("the host does not shut down: {error:#}"));
        }
    }

    /// Checks the books, shuts the host down, and has the database dropped.
    pub async fn finish(self) {
        self.assert_books_are_sound().await;
        self.remove().await;
    }

    /// Shuts the host down, and has the database dropped.
    pub async fn remove(mut self) {
        self.shut_down().await;
        if self.fails_on_deadlock.load(Ordering::Relaxed) {
            self.assert_no_deadlock().await;
        }
    }

    /// Everything that a request for money could have changed, as one text to compare. An
    /// account that nothing was ever booked on is no change.
    pub async fn money_state(&self) -> String {
        let rows = self
            .query(
                "SELECT concat(
                     (SELECT string_agg(a::text, E'\\n' ORDER BY id) FROM credit_accounts a WHERE sequence > 0), E'\\n',
                     (SELECT count(*) FROM ledger_transfers), ' transfers, ',
                     (SELECT count(*) FROM idempotency_keys), ' keys')",
            )
            .await;
        rows.first().map(|row| row.get(0)).unwrap_or_default()
    }

    /// How many rows each table has, as one text to compare. What a request leaves behind that
    /// was refused is not counted: failed attempts, by which the next are refused, and the keys
    /// that issuing a token makes when one is old.
    pub async fn row_counts(&self) -> String {
        const NOT_COUNTED: [&str; 3] = ["login_attempts", "operation_counts", "signing_keys"];
        let tables = self
            .query(
                "SELECT c.oid::regclass::text FROM pg_class c
                  WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' ORDER BY 1",
            )
            .await;
        let counts = tables
            .iter()
            .map(|row| row.get::<_, String>(0))
            .filter(|table| !NOT_COUNTED.contains(&table.as_str()))
            .map(|table| format!("SELECT '{table} ' || count(*) FROM {table}"));
        let counts = counts.collect::<Vec<_>>().join(" UNION ALL ");
        let rows = self.query(&counts).await;
        let lines: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        lines.join(", ")
    }

    /// Runs a statement without parameters on the test's database.
    pub async fn query(&self, sql: &str) -> Vec<tokio_postgres::Row> {
        self.db
            .query(sql, &[])
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error:?}"))
    }

    /// Waits until a session of the database waits for a lock.
    pub async fn until_blocked(&self) {
        self.until_sessions(BLOCKED, |count| count >= 1).await;
    }

    /// Waits until this is said of as many sessions of the database, beside one's own, as are
    /// enough.
    pub async fn until_sessions(&self, which: &str, is_enough: impl Fn(i64) -> bool) {
        for _ in 0..5_000 {
            let rows = self
                .query(&format!(
                    "SELECT count(*) FROM pg_stat_activity
                      WHERE datname = current_database() AND pid <> pg_backend_pid() AND {which}"
                ))
                .await;
            if is_enough(rows[0].get(0)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        panic!("there were never enough sessions, or few enough, with {which}");
    }

    /// Runs statements without parameters on the test's database.
    pub async fn execute(&self, sql: &str) {
        self.db
            .batch_execute(sql)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }
}

/// Has the database dropped while other tests go on: it takes as long as many a test. A test that
/// failed leaves its log to be printed.
impl Drop for TestHost {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.print_log();
        }
        if let Some(database) = self.database.take() {
            environment().spawn(async move {
                if let Err(error) = database.remove().await {
                    eprintln!("{error:#}; the next run drops it");
                }
            });
        }
    }
}
