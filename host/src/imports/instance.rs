//! What one component instance owns, and what the instances of a host share.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use tokio::sync::OwnedSemaphorePermit;
use wasmtime::AsContextMut as _;
use wasmtime::component::{Access, GuestTaskId, HasData, Linker};
use wasmtime::error::Context as _;
use wasmtime_wasi::{FsPerms, ResourceTable, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::imports::bindings::spin;
use crate::imports::key_value::store::KeyValueStore;
use crate::imports::outbound_http::OutboundHttp;
use crate::imports::postgres::PostgresPools;
use crate::log_sink::{ComponentOutput, LogSink};
use crate::manifest::FileMount;
use crate::manifest::allowed_hosts::AllowedHosts;
use crate::metrics::Metrics;
use crate::runtime::chaining::Chained;
use crate::runtime::lifecycle::InstanceGuard;
use crate::traces::{SpanContext, Traces};

/// What all components of one host use.
pub(crate) struct Services {
    pub(crate) key_value: KeyValueStore,
    pub(crate) postgres: PostgresPools,
    pub(crate) log: LogSink,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) traces: Traces,
    /// The components that can call each other; set once they are all there.
    pub(crate) chained: OnceLock<Chained>,
}

/// An instance's place in the allocator.
pub(crate) struct Place {
    pub(crate) _slot: OwnedSemaphorePermit,
    /// For a component that calls others: its part of the places for such.
    pub(crate) _chaining: Option<OwnedSemaphorePermit>,
}

/// What all instances of one component in one host use.
pub(crate) struct ComponentContext {
    pub(crate) id: Arc<str>,
    pub(crate) allowed_hosts: AllowedHosts,
    pub(crate) key_value_stores: Vec<String>,
    pub(crate) variables: HashMap<String, String>,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) files: Vec<FileMount>,
    pub(crate) services: Arc<Services>,
}

/// The data of one instance's store.
pub(crate) struct InstanceState {
    pub(crate) component: Arc<ComponentContext>,
    pub(crate) table: ResourceTable,
    pub(crate) open_stores: u32,
    /// What the calls under way are part of, while traces are on.
    pub(crate) traced: HashMap<GuestTaskId, SpanContext>,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    outbound: OutboundHttp,
    /// Returned when the instance is gone: the place in the allocator, and the host's count.
    _place: Place,
    _guard: InstanceGuard,
}

impl InstanceState {
    /// The data for a new instance of `component`, in its `place`.
    ///
    /// # Errors
    /// A directory of its `files` cannot be opened.
    pub(crate) fn new(
        component: &Arc<ComponentContext>,
        place: Place,
        guard: InstanceGuard,
    ) -> wasmtime::Result<Self> {
        let output =
            || ComponentOutput::new(Arc::clone(&component.id), component.services.log.clone());
        let mut wasi = WasiCtxBuilder::new();
        wasi.stdout(output()).stderr(output());
        for (name, value) in &component.environment {
            wasi.env(name, value);
        }
        for mount in &component.files {
            wasi.preopened_dir(&mount.source, &mount.destination, FsPerms::ReadOnly)
                .with_context(|| {
                    format!(
                        "[component.{}] files: cannot open {}",
                        component.id,
                        mount.source.display()
                    )
                })?;
        }
        Ok(Self {
            component: Arc::clone(component),
            table: ResourceTable::new(),
            open_stores: 0,
            traced: HashMap::new(),
            wasi: wasi.build(),
            http: WasiHttpCtx::new(),
            outbound: OutboundHttp(Arc::clone(component)),
            _place: place,
            _guard: guard,
        })
    }
}

impl WasiView for InstanceState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for InstanceState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            hooks: &mut self.outbound,
            table: &mut self.table,
            ctx: &mut self.http,
        }
    }
}

/// What the call is part of that a component makes just now; `None` while traces are off.
pub(crate) fn calling_span<T: Send + 'static>(
    access: &mut Access<'_, T, InstanceData>,
) -> Option<SpanContext> {
    if !access.get().component.services.traces.is_on() {
        return None;
    }
    let tasks: Vec<_> = access.as_context_mut().async_call_stack().ok()?.collect();
    let traced = &access.get().traced;
    tasks.iter().find_map(|task| traced.get(task).copied())
}

/// Gives the import functions access to the instance's data.
pub(crate) struct InstanceData;

impl HasData for InstanceData {
    type Data<'a> = &'a mut InstanceState;
}

/// Everything a component may import.
///
/// # Errors
/// Two definitions collide, which would be a mistake in this program.
pub(crate) fn linker(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<InstanceState>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi::p3::add_to_linker(&mut linker)?;
    wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
    let data: fn(&mut InstanceState) -> &mut InstanceState = |state| state;
    spin::postgres::postgres::add_to_linker::<_, InstanceData>(&mut linker, data)?;
    spin::key_value::key_value::add_to_linker::<_, InstanceData>(&mut linker, data)?;
    spin::variables::variables::add_to_linker::<_, InstanceData>(&mut linker, data)?;
    Ok(linker)
}
