//! What a host counts about itself, in the text format of OpenMetrics.
//!
//! The values of labels are bounded: components are those of the manifest, methods and statuses are
//! those of a list. What clients choose freely, such as paths, is no label.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use prometheus_client::encoding::text::encode_registry;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};
use shared::metrics::{MetricDescription, MetricKind, STORED};

mod process;

pub(crate) use process::ProcessFigures;

/// Bounds of the time that a request takes, in seconds. A cached answer takes less than one
/// millisecond, and what takes ten seconds is given up.
const DURATION_BOUNDS: [f64; 14] = [
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Bounds of the statements of one request: most need one, or none when the cache answers.
const STATEMENT_BOUNDS: [f64; 5] = [0.0, 1.0, 2.0, 4.0, 8.0];

/// The component of a request that none is asked to answer.
const HOST: &str = "host";

const REQUEST_DURATION: MetricDescription = described(
    "http_request_duration_seconds",
    MetricKind::Histogram,
    "How long requests took, from their head to the head of the answer",
);
const REQUESTS_IN_FLIGHT: MetricDescription = described(
    "turnpike_http_requests_in_flight",
    MetricKind::Gauge,
    "Requests that are not answered yet",
);
const REQUEST_STATEMENTS: MetricDescription = described(
    "turnpike_request_statements",
    MetricKind::Histogram,
    "Statements to Postgres of one request, as X-DB-Queries has them",
);
const CACHE_RESULTS: MetricDescription = described(
    "turnpike_cache_results",
    MetricKind::Counter,
    "Answers by how the cache took part, as X-Cache has it",
);
const INSTANCES: MetricDescription = described(
    "turnpike_instances",
    MetricKind::Gauge,
    "Instances of a component that there are",
);
const INSTANCES_STARTED: MetricDescription = described(
    "turnpike_instances_started",
    MetricKind::Counter,
    "Instances of a component that were made",
);
const INSTANCES_ENDED: MetricDescription = described(
    "turnpike_instances_ended",
    MetricKind::Counter,
    "Instances of a component that ended, by reason",
);
const KEY_VALUE_OPERATIONS: MetricDescription = described(
    "turnpike_key_value_operations",
    MetricKind::Counter,
    "Operations of components on the key-value store, by how they ended",
);
const POOL_CONNECTIONS: MetricDescription = described(
    "turnpike_postgres_pool_connections",
    MetricKind::Gauge,
    "Connections of this host to Postgres, by state",
);
const POOL_MAX_CONNECTIONS: MetricDescription = described(
    "turnpike_postgres_pool_max_connections",
    MetricKind::Gauge,
    "Connections that this host opens at most",
);
const POOL_WAITING: MetricDescription = described(
    "turnpike_postgres_pool_waiting",
    MetricKind::Gauge,
    "Statements that wait for a connection of this host",
);
const POSTGRES_UP: MetricDescription = described(
    "turnpike_postgres_up",
    MetricKind::Gauge,
    "Whether Postgres answered when the metrics were read",
);
const TRACE_SPANS: MetricDescription = described(
    "turnpike_trace_spans",
    MetricKind::Counter,
    "Spans of traces, by whether the collector took them",
);
const RESIDENT_MEMORY: MetricDescription = described(
    "process_resident_memory_bytes",
    MetricKind::Gauge,
    "Resident memory of the host, where the system tells",
);
const CPU_TIME: MetricDescription = described(
    "process_cpu_seconds",
    MetricKind::Counter,
    "Processor time of the host, where the system tells",
);
const OPEN_FILES: MetricDescription = described(
    "process_open_fds",
    MetricKind::Gauge,
    "File descriptors that the host has open, where the system tells",
);

/// What a host counts itself.
const OWN: [MetricDescription; 16] = [
    REQUEST_DURATION,
    REQUESTS_IN_FLIGHT,
    REQUEST_STATEMENTS,
    CACHE_RESULTS,
    INSTANCES,
    INSTANCES_STARTED,
    INSTANCES_ENDED,
    KEY_VALUE_OPERATIONS,
    POOL_CONNECTIONS,
    POOL_MAX_CONNECTIONS,
    POOL_WAITING,
    POSTGRES_UP,
    TRACE_SPANS,
    RESIDENT_MEMORY,
    CPU_TIME,
    OPEN_FILES,
];

/// All metrics that a host shows: its own, and those that the database keeps.
pub fn descriptions() -> impl Iterator<Item = MetricDescription> {
    OWN.into_iter().chain(STORED)
}

const fn described(name: &'static str, kind: MetricKind, help: &'static str) -> MetricDescription {
    MetricDescription { name, kind, help }
}

/// The id of a component, as a label.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct ComponentId(Arc<str>);

impl EncodeLabelValue for ComponentId {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        (&*self.0).encode(encoder)
    }
}

/// Labels that are words of a list.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(crate) enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            pub(crate) const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl EncodeLabelValue for $name {
            fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
                self.as_str().encode(encoder)
            }
        }
    };
}

words! {
    /// A request's method. Clients may make methods up, which are all one here.
    MethodLabel {
        Get = "GET",
        Head = "HEAD",
        Post = "POST",
        Put = "PUT",
        Patch = "PATCH",
        Delete = "DELETE",
        Options = "OPTIONS",
        Other = "other",
    }
}

words! {
    /// How the cache took part.
    CacheResult {
        Hit = "hit",
        Miss = "miss",
        Bypass = "bypass",
    }
}

words! {
    /// Why an instance ended.
    InstanceEnd {
        /// It answered as many requests as an instance may.
        UsedUp = "used_up",
        /// It had nothing to do, or the host stops.
        Idle = "idle",
        /// It trapped.
        Failed = "failed",
    }
}

words! {
    /// An operation of components on the key-value store.
    KeyValueOperation {
        Get = "get",
        Set = "set",
        Delete = "delete",
        Exists = "exists",
        Keys = "keys",
    }
}

words! {
    /// What became of an operation.
    Outcome {
        Ok = "ok",
        Failed = "failed",
    }
}

words! {
    /// What became of a span.
    SpanFate {
        Sent = "sent",
        Dropped = "dropped",
    }
}

words! {
    /// What a connection to Postgres does.
    ConnectionState {
        InUse = "in_use",
        Idle = "idle",
    }
}

impl MethodLabel {
    pub(crate) fn of(method: &Method) -> Self {
        match *method {
            Method::GET => Self::Get,
            Method::HEAD => Self::Head,
            Method::POST => Self::Post,
            Method::PUT => Self::Put,
            Method::PATCH => Self::Patch,
            Method::DELETE => Self::Delete,
            Method::OPTIONS => Self::Options,
            _ => Self::Other,
        }
    }
}

impl Outcome {
    const fn of(is_ok: bool) -> Self {
        if is_ok { Self::Ok } else { Self::Failed }
    }
}

/// The status of an answer, or that there was none because the client went away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum StatusLabel {
    Answered(u16),
    Aborted,
}

impl EncodeLabelValue for StatusLabel {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        match self {
            Self::Answered(status @ 100..=599) => status.encode(encoder),
            Self::Answered(_) => "other".encode(encoder),
            Self::Aborted => "aborted".encode(encoder),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    component: ComponentId,
    method: MethodLabel,
    status: StatusLabel,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ComponentLabels {
    component: ComponentId,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CacheLabels {
    component: ComponentId,
    result: CacheResult,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndLabels {
    component: ComponentId,
    reason: InstanceEnd,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OperationLabels {
    operation: KeyValueOperation,
    outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    state: ConnectionState,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SpanLabels {
    outcome: SpanFate,
}

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// All counters of a host.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    request_duration: Histograms<RequestLabels>,
    requests_in_flight: Gauge,
    request_statements: Histograms<ComponentLabels>,
    cache_results: Family<CacheLabels, Counter>,
    instances: Family<ComponentLabels, Gauge>,
    instances_started: Family<ComponentLabels, Counter>,
    instances_ended: Family<EndLabels, Counter>,
    key_value_operations: Family<OperationLabels, Counter>,
    pool_connections: Family<StateLabels, Gauge>,
    pool_max_connections: Gauge,
    pool_waiting: Gauge,
    postgres_up: Gauge,
    trace_spans: Family<SpanLabels, Counter>,
    host: ComponentId,
}

/// The connections of a host to Postgres.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct PoolFigures {
    /// Those that a statement has.
    pub(crate) in_use: usize,
    /// Those that no statement has.
    pub(crate) idle: usize,
    /// Those that may be opened at most.
    pub(crate) max: usize,
    /// Statements that wait for one.
    pub(crate) waiting: usize,
}

/// What is looked up when the metrics are read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Observed {
    pub(crate) pool: PoolFigures,
    pub(crate) is_postgres_up: bool,
    pub(crate) process: ProcessFigures,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let durations: fn() -> Histogram = || Histogram::new(DURATION_BOUNDS);
        let statements: fn() -> Histogram = || Histogram::new(STATEMENT_BOUNDS);
        let metrics = Self {
            registry: Registry::default(),
            request_duration: Family::new_with_constructor(durations),
            requests_in_flight: Gauge::default(),
            request_statements: Family::new_with_constructor(statements),
            cache_results: Family::default(),
            instances: Family::default(),
            instances_started: Family::default(),
            instances_ended: Family::default(),
            key_value_operations: Family::default(),
            pool_connections: Family::default(),
            pool_max_connections: Gauge::default(),
            pool_waiting: Gauge::default(),
            postgres_up: Gauge::default(),
            trace_spans: Family::default(),
            host: ComponentId(HOST.into()),
        };
        metrics.registered()
    }

    /// The same with every metric in the registry, which makes the text.
    fn registered(mut self) -> Self {
        let registry = &mut self.registry;
        register(registry, REQUEST_DURATION, &self.request_duration);
        register(registry, REQUESTS_IN_FLIGHT, &self.requests_in_flight);
        register(registry, REQUEST_STATEMENTS, &self.request_statements);
        register(registry, CACHE_RESULTS, &self.cache_results);
        register(registry, INSTANCES, &self.instances);
        register(registry, INSTANCES_STARTED, &self.instances_started);
        register(registry, INSTANCES_ENDED, &self.instances_ended);
        register(registry, KEY_VALUE_OPERATIONS, &self.key_value_operations);
        register(registry, POOL_CONNECTIONS, &self.pool_connections);
        register(registry, POOL_MAX_CONNECTIONS, &self.pool_max_connections);
        register(registry, POOL_WAITING, &self.pool_waiting);
        register(registry, POSTGRES_UP, &self.postgres_up);
        register(registry, TRACE_SPANS, &self.trace_spans);
        self
    }

    /// The counters of one component, which are there from the start: a rate needs the zero that
    /// it began with.
    pub(crate) fn component(self: &Arc<Self>, id: &Arc<str>) -> ComponentMetrics {
        let component = ComponentId(Arc::clone(id));
        let labels = ComponentLabels {
            component: component.clone(),
        };
        let cache = |result| {
            let component = component.clone();
            let labels = CacheLabels { component, result };
            self.cache_results.get_or_create_owned(&labels)
        };
        ComponentMetrics {
            statements: self.request_statements.get_or_create_owned(&labels),
            cache_hits: cache(CacheResult::Hit),
            cache_misses: cache(CacheResult::Miss),
            cache_bypasses: cache(CacheResult::Bypass),
            instances: self.instances.get_or_create_owned(&labels),
            started: self.instances_started.get_or_create_owned(&labels),
            metrics: Arc::clone(self),
            component,
        }
    }

    /// Says that a request has come.
    pub(crate) fn request_begins(&self) {
        self.requests_in_flight.inc();
    }

    /// Says that a request was answered, or given up. `component` is `None` for one that no
    /// component was asked to answer.
    pub(crate) fn request_ends(
        &self,
        component: Option<&ComponentMetrics>,
        method: MethodLabel,
        status: StatusLabel,
        took: Duration,
    ) {
        self.requests_in_flight.dec();
        let labels = RequestLabels {
            component: component.map_or(&self.host, |one| &one.component).clone(),
            method,
            status,
        };
        self.request_duration
            .get_or_create(&labels)
            .observe(took.as_secs_f64());
    }

    /// Says that an operation on the key-value store ended.
    pub(crate) fn key_value_ends(&self, operation: KeyValueOperation, is_ok: bool) {
        let outcome = Outcome::of(is_ok);
        let labels = OperationLabels { operation, outcome };
        self.key_value_operations.get_or_create(&labels).inc();
    }

    /// Says what became of so many spans.
    pub(crate) fn spans_end(&self, outcome: SpanFate, count: u64) {
        let labels = SpanLabels { outcome };
        self.trace_spans.get_or_create(&labels).inc_by(count);
    }

    /// How many spans ended like that.
    #[cfg(test)]
    pub(crate) fn spans(&self, outcome: SpanFate) -> u64 {
        self.trace_spans
            .get_or_create(&SpanLabels { outcome })
            .get()
    }

    /// The metrics as text, without the line that ends it.
    pub(crate) fn to_text(&self, observed: &Observed) -> String {
        let pool = observed.pool;
        for (state, count) in [
            (ConnectionState::InUse, pool.in_use),
            (ConnectionState::Idle, pool.idle),
        ] {
            let labels = StateLabels { state };
            self.pool_connections
                .get_or_create(&labels)
                .set(gauge_value(count));
        }
        self.pool_max_connections.set(gauge_value(pool.max));
        self.pool_waiting.set(gauge_value(pool.waiting));
        self.postgres_up.set(i64::from(observed.is_postgres_up));
        let mut text = String::new();
        // Writing to a text does not fail.
        let _ = encode_registry(&mut text, &self.registry);
        observed.process.write(&mut text);
        text
    }
}

/// A metric that is cloned counts on the same.
fn register<M: Metric + Clone>(
    registry: &mut Registry,
    description: MetricDescription,
    metric: &M,
) {
    registry.register(description.name, description.help, metric.clone());
}

fn gauge_value(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The counters of one component.
#[derive(Debug, Clone)]
pub(crate) struct ComponentMetrics {
    metrics: Arc<Metrics>,
    component: ComponentId,
    statements: Histogram,
    cache_hits: Counter,
    cache_misses: Counter,
    cache_bypasses: Counter,
    instances: Gauge,
    started: Counter,
}

impl ComponentMetrics {
    /// Counts the statements that an answer says it took.
    pub(crate) fn note_statements(&self, count: u32) {
        self.statements.observe(f64::from(count));
    }

    /// Counts what an answer says of the cache; what is no known word is not counted.
    pub(crate) fn note_cache(&self, said: &str) {
        let counter = match said {
            "hit" => &self.cache_hits,
            "miss" => &self.cache_misses,
            "bypass" => &self.cache_bypasses,
            _ => return,
        };
        counter.inc();
    }

    /// Counts an instance until what is returned goes.
    pub(crate) fn instance_starts(&self) -> CountedInstance<'_> {
        self.started.inc();
        self.instances.inc();
        CountedInstance {
            component: self,
            end: InstanceEnd::Failed,
        }
    }
}

/// One instance in the counts.
#[derive(Debug)]
pub(crate) struct CountedInstance<'a> {
    component: &'a ComponentMetrics,
    end: InstanceEnd,
}

impl CountedInstance<'_> {
    /// Says why it ends; unless it is said, the instance failed.
    pub(crate) fn ends(&mut self, end: InstanceEnd) {
        self.end = end;
    }
}

impl Drop for CountedInstance<'_> {
    fn drop(&mut self) {
        let ComponentMetrics {
            metrics,
            component,
            instances,
            ..
        } = self.component;
        instances.dec();
        let labels = EndLabels {
            component: component.clone(),
            reason: self.end,
        };
        metrics.instances_ended.get_or_create(&labels).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_after(act: impl FnOnce(&Arc<Metrics>)) -> String {
        let metrics = Arc::new(Metrics::new());
        act(&metrics);
        let observed = Observed {
            pool: PoolFigures {
                in_use: 3,
                idle: 1,
                max: 32,
                waiting: 2,
            },
            is_postgres_up: true,
            process: ProcessFigures::read(),
        };
        metrics.to_text(&observed)
    }

    fn assert_has(text: &str, lines: &[&str]) {
        for line in lines {
            assert!(text.lines().any(|other| other == *line), "{line}:\n{text}");
        }
    }

    #[test]
    fn requests_are_counted_by_component_method_and_status() {
        let text = text_after(|metrics| {
            let health = metrics.component(&"health".into());
            for (component, method, status, millis) in [
                (Some(&health), "GET", StatusLabel::Answered(200), 2),
                (Some(&health), "GET", StatusLabel::Answered(200), 20),
                (Some(&health), "BREW", StatusLabel::Answered(405), 1),
                (Some(&health), "GET", StatusLabel::Aborted, 1),
                (Some(&health), "GET", StatusLabel::Answered(999), 1),
                (None, "POST", StatusLabel::Answered(400), 1),
            ] {
                let method = http::Method::from_bytes(method.as_bytes()).expect("it is a token");
                metrics.request_begins();
                let took = Duration::from_millis(millis);
                metrics.request_ends(component, MethodLabel::of(&method), status, took);
            }
            metrics.request_begins();
        });
        let count = |component: &str, method: &str, status: &str, count: u32| {
            format!(
                "http_request_duration_seconds_count{{component=\"{component}\",\
                 method=\"{method}\",status=\"{status}\"}} {count}"
            )
        };
        assert_has(
            &text,
            &[
                &count("health", "GET", "200", 2),
                &count("health", "other", "405", 1),
                &count("health", "GET", "aborted", 1),
                &count("health", "GET", "other", 1),
                &count("host", "POST", "400", 1),
                "turnpike_http_requests_in_flight 1",
                "http_request_duration_seconds_bucket{le=\"0.0025\",component=\"health\",\
                 method=\"GET\",status=\"200\"} 1",
            ],
        );
    }

    #[test]
    fn answers_say_what_they_took() {
        let text = text_after(|metrics| {
            let balance = metrics.component(&"credits-balance".into());
            for said in ["hit", "hit", "miss", "bypass", "HIT", ""] {
                balance.note_cache(said);
            }
            for statements in [0, 1, 1, 3] {
                balance.note_statements(statements);
            }
        });
        assert_has(
            &text,
            &[
                "turnpike_cache_results_total{component=\"credits-balance\",result=\"hit\"} 2",
                "turnpike_cache_results_total{component=\"credits-balance\",result=\"miss\"} 1",
                "turnpike_cache_results_total{component=\"credits-balance\",result=\"bypass\"} 1",
                "turnpike_request_statements_count{component=\"credits-balance\"} 4",
                "turnpike_request_statements_sum{component=\"credits-balance\"} 5.0",
                "turnpike_postgres_pool_connections{state=\"in_use\"} 3",
                "turnpike_postgres_pool_connections{state=\"idle\"} 1",
                "turnpike_postgres_pool_max_connections 32",
                "turnpike_postgres_pool_waiting 2",
                "turnpike_postgres_up 1",
            ],
        );
    }

    #[test]
    fn instances_are_counted_while_they_live() {
        let text = text_after(|metrics| {
            let health = metrics.component(&"health".into());
            let mut used_up = health.instance_starts();
            let living = health.instance_starts();
            used_up.ends(InstanceEnd::UsedUp);
            drop(used_up);
            drop(health.instance_starts());
            std::mem::forget(living);
        });
        assert_has(
            &text,
            &[
                "turnpike_instances{component=\"health\"} 1",
                "turnpike_instances_started_total{component=\"health\"} 3",
                "turnpike_instances_ended_total{component=\"health\",reason=\"used_up\"} 1",
                "turnpike_instances_ended_total{component=\"health\",reason=\"failed\"} 1",
            ],
        );
    }

    #[test]
    fn names_are_given_once() {
        let names: Vec<_> = descriptions().map(|metric| metric.name).collect();
        for (index, name) in names.iter().enumerate() {
            assert!(!names[index + 1..].contains(name), "{name} is given twice");
            let is_plain = name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            assert!(is_plain, "{name} has other characters than words of a name");
        }
    }
}
