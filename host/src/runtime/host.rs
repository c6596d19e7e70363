//! A running host.

use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::imports::instance::{ComponentContext, Services};
use crate::imports::key_value::DEFAULT_STORE;
use crate::imports::key_value::store::{KeyValueOptions, KeyValueStore};
use crate::imports::postgres::{PostgresOptions, PostgresPools};
use crate::log_sink::LogSink;
use crate::manifest::Component;
use crate::manifest::allowed_hosts::AllowedHosts;
use crate::manifest::variables::Variables;
use crate::metrics::Metrics;
use crate::runtime::app::LoadedApp;
use crate::runtime::chaining::{Chained, DEFAULT_CHAINING_PATIENCE};
use crate::runtime::dispatcher::Dispatcher;
use crate::runtime::handler::HandlerExport;
use crate::runtime::lifecycle::{Lifecycle, Phase};
use crate::runtime::observation::Observer;
use crate::runtime::request_headers::RouteHeaders;
use crate::runtime::scrape::{self, Scrape};
use crate::runtime::server::{self, Router, Target};
use crate::runtime::worker::{ComponentWorkers, InstanceReuse};
use crate::traces::Traces;

/// The port the host listens on unless told otherwise, which is Spin's.
const DEFAULT_PORT: u16 = 3000;

/// How long requests in flight may take to finish once the host is told to stop.
const DEFAULT_DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// After the drain timeout instances are ended; they need a moment to notice.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);

/// Instances of one component that may compute at once, for each core: one runs, and one is ready
/// to when the system takes the first one's thread away. More would only compete for the caches.
const COMPUTING_INSTANCES_PER_CORE: usize = 2;

/// The variable of the application that leads to its database.
const DATABASE_VARIABLE: &str = "db_url";

/// How a host is to run.
#[derive(Debug, Clone)]
pub struct HostOptions {
    /// The address to listen on; port 0 means any free one.
    pub listen: SocketAddr,
    /// Values of application variables.
    pub variables: HashMap<String, String>,
    /// The key-value store.
    pub key_value: KeyValueOptions,
    /// How much one instance is used.
    pub reuse: InstanceReuse,
    /// What components are asked by.
    pub export: HandlerExport,
    /// Connections to one Postgres address at most.
    pub postgres_pool_size: usize,
    /// How long a statement waits for a connection, and an attempt to connect may take.
    pub postgres_connect_timeout: Duration,
    /// Where log lines go.
    pub log: LogSink,
    /// Whether each request leaves a line of JSON in the log.
    pub logs_requests: bool,
    /// The collector that traces are sent to by OTLP, as `http://127.0.0.1:4318`; none without one.
    pub otlp_endpoint: Option<String>,
    /// The address to show metrics at, without TLS and to whoever asks; `None` shows them nowhere.
    pub metrics_listen: Option<SocketAddr>,
    /// How long requests in flight may take to finish at shutdown.
    pub drain_timeout: Duration,
    /// How long a request of one component to another waits for an instance to take it.
    pub chaining_patience: Duration,
}

impl Default for HostOptions {
    fn default() -> Self {
        let postgres = PostgresOptions::default();
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, DEFAULT_PORT)),
            variables: HashMap::new(),
            key_value: KeyValueOptions::default(),
            reuse: InstanceReuse::default(),
            export: HandlerExport::default(),
            postgres_pool_size: postgres.pool_size,
            postgres_connect_timeout: postgres.connect_timeout,
            log: LogSink::default(),
            logs_requests: false,
            otlp_endpoint: None,
            metrics_listen: None,
            drain_timeout: DEFAULT_DRAIN_TIMEOUT,
            chaining_patience: DEFAULT_CHAINING_PATIENCE,
        }
    }
}

/// A host that serves an application until it is shut down or dropped.
pub struct Host {
    address: SocketAddr,
    metrics_address: Option<SocketAddr>,
    services: Arc<Services>,
    /// By component. Those without a route are known to nobody else.
    _dispatchers: BTreeMap<String, Dispatcher>,
    lifecycle: Arc<Lifecycle>,
    stop: watch::Sender<bool>,
    accepting: JoinHandle<JoinSet<()>>,
    drain_timeout: Duration,
}

impl Host {
    /// Starts to serve `app`; when this returns, requests are accepted.
    ///
    /// # Errors
    /// A variable has no value, a component's stanza is unusable, the key-value store cannot be
    /// opened, or the address cannot be listened on.
    pub async fn start(app: Arc<LoadedApp>, options: HostOptions) -> Result<Self> {
        ensure!(
            options.reuse.max_requests > 0 && options.reuse.max_concurrent > 0,
            "an instance must take at least one request"
        );
        ensure!(
            options.postgres_pool_size > 0,
            "the Postgres pool must have at least one connection"
        );
        let variables =
            Variables::resolve(&app.manifest().variables, &options.variables, |name| {
                std::env::var(name).ok()
            })?;
        let metrics = Arc::new(Metrics::new());
        let traces = match &options.otlp_endpoint {
            Some(address) => Traces::to(address, Arc::clone(&metrics))?,
            None => Traces::default(),
        };
        let services = Arc::new(Services {
            key_value: KeyValueStore::open(&options.key_value)?,
            postgres: PostgresPools::new(PostgresOptions {
                pool_size: options.postgres_pool_size,
                connect_timeout: options.postgres_connect_timeout,
            }),
            log: options.log.clone(),
            metrics,
            traces,
            chained: OnceLock::new(),
        });
        let lifecycle = Arc::new(Lifecycle::default());
        let dispatchers = build_dispatchers(&app, &options, &variables, &services, &lifecycle)?;
        let chained = dispatchers
            .iter()
            .map(|(id, dispatcher)| (id.clone(), dispatcher.downgrade()))
            .collect();
        let chained = Chained::new(chained, options.chaining_patience)?;
        services.chained.get_or_init(|| chained);
        let router = build_router(&app, &options, &dispatchers, &services)?;
        let (listener, address) = listen(options.listen)?;
        let (stop, stopped) = watch::channel(false);
        let metrics_address = match options.metrics_listen {
            Some(wanted) => {
                let (listener, address) = listen(wanted)?;
                let database_url = variables.get(DATABASE_VARIABLE);
                let scrape = Scrape::new(Arc::clone(&services), database_url)?;
                tokio::spawn(scrape::serve(listener, Arc::new(scrape), stopped.clone()));
                Some(address)
            }
            None => None,
        };
        let accepting = tokio::spawn(server::accept(listener, Arc::new(router), stopped));
        Ok(Self {
            address,
            metrics_address,
            services,
            _dispatchers: dispatchers,
            lifecycle,
            stop,
            accepting,
            drain_timeout: options.drain_timeout,
        })
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address that it shows metrics at, as `GET /metrics`, if it does.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_address
    }

    /// Its key-value store.
    pub fn key_value(&self) -> &KeyValueStore {
        &self.services.key_value
    }

    /// How many component instances there are.
    pub fn instances(&self) -> usize {
        self.lifecycle.instances()
    }

    /// Stops: no connection is accepted any more, requests in flight and work after responses
    /// are waited for up to the drain timeout, then everything ends.
    ///
    /// # Errors
    /// Something was still running after the drain timeout, and was cut off.
    pub async fn shutdown(mut self) -> Result<()> {
        let deadline = Instant::now() + self.drain_timeout;
        self.stop.send_replace(true);
        let mut connections = (&mut self.accepting).await?;
        let finished = tokio::time::timeout_at(deadline.into(), async {
            while connections.join_next().await.is_some() {}
            self.lifecycle.advance(Phase::Draining);
            self.lifecycle.no_instances().await;
        });
        let drained = finished.await.is_ok();
        let cut_off = connections.len();
        connections.shutdown().await;
        self.lifecycle.advance(Phase::Stopped);
        // Those that are in the middle of a computation end when it does.
        let _ = tokio::time::timeout(STOP_TIMEOUT, self.lifecycle.no_instances()).await;
        self.services.postgres.close();
        self.services.traces.flush().await;
        if !drained {
            bail!(
                "work was still going on {} s after the stop: {cut_off} connections were cut off",
                self.drain_timeout.as_secs()
            );
        }
        Ok(())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.accepting.abort();
        self.stop.send_replace(true);
        self.lifecycle.advance(Phase::Stopped);
        self.services.postgres.close();
    }
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Host({})", self.address)
    }
}

/// Starts to listen, and tells where.
fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr)> {
    let listener = server::listen(address)
        .with_context(|| format!("cannot listen on {address}: choose another address"))?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

fn build_dispatchers(
    app: &LoadedApp,
    options: &HostOptions,
    variables: &Variables,
    services: &Arc<Services>,
    lifecycle: &Arc<Lifecycle>,
) -> Result<BTreeMap<String, Dispatcher>> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let max_computing = cores * COMPUTING_INSTANCES_PER_CORE;
    let mut dispatchers = BTreeMap::new();
    for component in app.manifest().triggered_components() {
        let context = component_context(component, variables, services)
            .with_context(|| format!("[component.{}]", component.id))?;
        let may_chain = context.allowed_hosts.may_chain();
        let metrics = services.metrics.component(&context.id);
        let workers = ComponentWorkers {
            engine: app.engine().clone(),
            pre: app.component(&component.id)?.clone(),
            component: Arc::new(context),
            reuse: options.reuse,
            export: options.export,
            slots: Arc::clone(app.slots()),
            chaining_slots: may_chain.then(|| Arc::clone(app.chaining_slots())),
            lifecycle: Arc::clone(lifecycle),
            metrics,
        };
        let dispatcher = Dispatcher::new(workers, max_computing);
        dispatchers.insert(component.id.clone(), dispatcher);
    }
    Ok(dispatchers)
}

fn build_router(
    app: &LoadedApp,
    options: &HostOptions,
    dispatchers: &BTreeMap<String, Dispatcher>,
    services: &Services,
) -> Result<Router> {
    let manifest = app.manifest();
    let routes = manifest.routes()?;
    let request_log = options.logs_requests.then(|| options.log.clone());
    let mut targets: Vec<Option<Target>> = manifest.triggers.iter().map(|_| None).collect();
    for route in routes.iter() {
        let trigger = &manifest.triggers[route.index];
        let dispatcher = dispatchers
            .get(trigger.component.as_str())
            .with_context(|| format!("there is no [component.{}]", trigger.component))?;
        let component_id: Arc<str> = trigger.component.as_str().into();
        targets[route.index] = Some(Target {
            metrics: services.metrics.component(&component_id),
            component_id,
            route: route.raw.as_str().into(),
            headers: RouteHeaders::new(route)
                .with_context(|| format!("the route {:?} cannot be a header", route.raw))?,
            component: Dispatcher::clone(dispatcher),
        });
    }
    Ok(Router {
        routes,
        targets,
        log: options.log.clone(),
        observer: Observer::new(
            Arc::clone(&services.metrics),
            services.traces.clone(),
            request_log,
        ),
    })
}

fn component_context(
    component: &Component,
    variables: &Variables,
    services: &Arc<Services>,
) -> Result<ComponentContext> {
    if let Some(label) = component
        .key_value_stores
        .iter()
        .find(|label| *label != DEFAULT_STORE)
    {
        bail!("key_value_stores has {label:?}: this host has only {DEFAULT_STORE:?}");
    }
    let allowed_hosts = component
        .allowed_outbound_hosts
        .iter()
        .map(|pattern| variables.expand(pattern))
        .collect::<Result<Vec<_>>>()?;
    Ok(ComponentContext {
        id: component.id.as_str().into(),
        allowed_hosts: AllowedHosts::parse(&allowed_hosts)?,
        key_value_stores: component.key_value_stores.clone(),
        variables: component
            .variables
            .iter()
            .map(|(name, template)| Ok((name.clone(), variables.expand(template)?)))
            .collect::<Result<_>>()?,
        environment: component.environment.clone(),
        files: component.files.clone(),
        services: Arc::clone(services),
    })
}
