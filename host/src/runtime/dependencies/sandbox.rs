//! Where dependencies run: an engine of their own, and limits on everything.
//!
//! A dependency is the one component here that may be somebody else's: a customer's formula for
//! prices. Each call gets a fresh instance, which reaches nothing and ends with the call, so that
//! one call can neither see nor spoil another.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use wasmtime::component::{ComponentExportIndex, InstancePre, Val};
use wasmtime::{Engine, ResourceLimiter, Store, UpdateDeadline, bail, format_err};
use wasmtime_wasi::{ResourceTable, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use super::ticker::Ticker;
use crate::log_sink::{ComponentOutput, LogSink};
use crate::runtime::engine;

/// How long one call may take, and how long it may wait for its turn before: the caller has an
/// answer within twice this.
pub(crate) const DEPENDENCY_CALL_TIME_LIMIT: Duration = Duration::from_secs(1);

/// All memories of one instance together.
pub(crate) const DEPENDENCY_MEMORY_BYTES: usize = 64 << 20;

/// All tables of one instance together; at 8 bytes each less than a megabyte.
const DEPENDENCY_TABLE_ELEMENTS: usize = 100_000;

/// Memories of one instance. However small, each reserves 4 GiB of addresses: four calls take
/// 512 GiB of the 128 TiB that a process has.
const DEPENDENCY_MEMORIES: usize = 32;

/// Tables of one instance, and core instances that it is made of; like the memories far above any
/// real component's, and as many as Spin allows one.
const DEPENDENCY_TABLES: usize = 64;
const DEPENDENCY_CORE_INSTANCES: usize = 200;

/// What one call may hand to the host: values cross as trees of 40 bytes or so a node, so this is
/// some 400,000 numbers.
const DEPENDENCY_RESULT_BYTES: usize = 16 << 20;

/// Streams, timers and the like that one instance may hold at once.
const DEPENDENCY_RESOURCES: usize = 1_000;

/// What one call may print.
const DEPENDENCY_OUTPUT_BYTES: usize = 64 << 10;

/// Calls at once, for each core. A dependency only computes, so more would merely take turns;
/// two cores have four calls, and those at most 4 x 64 MiB of memory.
const CALLS_PER_CORE: usize = 2;

/// The engine of the dependencies, and the room there is on it.
pub(crate) struct Sandbox {
    engine: Engine,
    places: Semaphore,
    ticker: Ticker,
}

/// One function that a dependency exports.
pub(super) struct Function {
    /// How messages call the dependency.
    pub(super) dependency: Arc<str>,
    /// How messages call the function.
    pub(super) name: String,
    pub(super) sandbox: Arc<Sandbox>,
    pub(super) instance: InstancePre<SandboxState>,
    pub(super) export: ComponentExportIndex,
}

/// The data of a dependency's store.
pub(super) struct SandboxState {
    wasi: WasiCtx,
    table: ResourceTable,
    limits: Limits,
}

#[derive(Default)]
struct Limits {
    memory_bytes: usize,
    table_elements: usize,
}

impl Sandbox {
    /// # Errors
    /// The cache in `cache_dir` cannot be used, or the system gives no thread.
    pub(crate) fn new(cache_dir: &Path) -> Result<Arc<Self>> {
        let engine = engine::create_interruptible(cache_dir)?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let ticker = Ticker::start(engine.clone())
            .context("cannot start the thread that interrupts dependencies")?;
        Ok(Arc::new(Self {
            engine,
            places: Semaphore::new(cores * CALLS_PER_CORE),
            ticker,
        }))
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }
}

impl Function {
    /// Calls the function in a fresh instance.
    ///
    /// # Errors
    /// It trapped or exceeded a limit; the text names the dependency and says what it did.
    pub(super) async fn call(
        self: Arc<Self>,
        params: Vec<Val>,
        results: usize,
        log: LogSink,
    ) -> wasmtime::Result<Vec<Val>> {
        let (dependency, name) = (Arc::clone(&self.dependency), self.name.clone());
        // A task of its own: the caller's thread of execution is a stack inside its store, and
        // dropping the set ends the call when the caller ends.
        let mut task = JoinSet::new();
        task.spawn(self.run(params, results, log));
        let outcome = match task.join_next().await {
            Some(Ok(outcome)) => outcome,
            Some(Err(error)) => Err(format_err!("{error}")),
            None => Err(format_err!("it was not started")),
        };
        outcome
            .map_err(|error| error.context(format!("the dependency {dependency} failed in {name}")))
    }

    async fn run(
        self: Arc<Self>,
        params: Vec<Val>,
        results: usize,
        log: LogSink,
    ) -> wasmtime::Result<Vec<Val>> {
        let seconds = DEPENDENCY_CALL_TIME_LIMIT.as_secs();
        let Ok(place) = timeout(DEPENDENCY_CALL_TIME_LIMIT, self.sandbox.places.acquire()).await
        else {
            bail!("it waited {seconds} s for its turn: too many calls of dependencies run");
        };
        let _place = place?;
        let _running = self.sandbox.ticker.run();
        let mut store = self.store(log);
        let work = async {
            let instance = self.instance.instantiate_async(&mut store).await?;
            let function = instance
                .get_func(&mut store, self.export)
                .ok_or_else(|| format_err!("its function is not there"))?;
            let mut returned = vec![Val::Bool(false); results];
            function
                .call_async(&mut store, &params, &mut returned)
                .await?;
            Ok(returned)
        };
        match timeout(DEPENDENCY_CALL_TIME_LIMIT, work).await {
            Ok(outcome) => outcome,
            Err(_) => bail!("it took longer than {seconds} s"),
        }
    }

    fn store(&self, log: LogSink) -> Store<SandboxState> {
        let output =
            ComponentOutput::limited(Arc::clone(&self.dependency), log, DEPENDENCY_OUTPUT_BYTES);
        let mut wasi = WasiCtxBuilder::new();
        wasi.stdout(output.clone())
            .stderr(output)
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false);
        let mut table = ResourceTable::new();
        table.set_max_capacity(DEPENDENCY_RESOURCES);
        let state = SandboxState {
            wasi: wasi.build(),
            table,
            limits: Limits::default(),
        };
        let mut store = Store::new(&self.sandbox.engine, state);
        store.limiter(|state| &mut state.limits);
        store.set_hostcall_fuel(DEPENDENCY_RESULT_BYTES);
        store.set_epoch_deadline(1);
        // Tokio's own way to yield: after any other, a worker looks for input and expired timers
        // only every 61st time, which with such long turns would be every tenth of a second.
        store.epoch_deadline_callback(|_| {
            let others = Box::pin(tokio::task::yield_now());
            Ok(UpdateDeadline::YieldCustom(1, others))
        });
        store
    }
}

impl WasiView for SandboxState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

/// What does not fit is an error and not a refusal, which a component would turn into a panic
/// without saying of what.
impl ResourceLimiter for Limits {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let total = self
            .memory_bytes
            .saturating_add(desired.saturating_sub(current));
        if total > DEPENDENCY_MEMORY_BYTES {
            bail!(
                "it wanted more than {} MiB of memory",
                DEPENDENCY_MEMORY_BYTES >> 20
            );
        }
        self.memory_bytes = total;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let total = self
            .table_elements
            .saturating_add(desired.saturating_sub(current));
        if total > DEPENDENCY_TABLE_ELEMENTS {
            bail!("it wanted more than {DEPENDENCY_TABLE_ELEMENTS} elements of tables");
        }
        self.table_elements = total;
        Ok(true)
    }

    fn memories(&self) -> usize {
        DEPENDENCY_MEMORIES
    }

    fn tables(&self) -> usize {
        DEPENDENCY_TABLES
    }

    fn instances(&self) -> usize {
        DEPENDENCY_CORE_INSTANCES
    }
}
