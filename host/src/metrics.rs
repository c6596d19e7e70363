//! What a host counts about itself, in the text format of OpenMetrics.
//!
//! The values of labels are bounded: components are those of the manifest, methods and statuses are
//! those of a list. What clients choose freely, such as paths, is no label.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use prometheus_client::encoding::text::encode_registry;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};
use shared::metrics::MetricDescription;

mod descriptions;
mod labels;
mod process;

pub use descriptions::descriptions;
use descriptions::{
    CACHE_RESULTS, INSTANCES, INSTANCES_ENDED, INSTANCES_STARTED, KEY_VALUE_OPERATIONS,
    POOL_CONNECTIONS, POOL_MAX_CONNECTIONS, POOL_WAITING, POSTGRES_UP, REQUEST_DURATION,
    REQUEST_STATEMENTS, REQUESTS_IN_FLIGHT, TRACE_SPANS,
};
use labels::{
    CacheLabels, CacheResult, ComponentId, ComponentLabels, ConnectionState, EndLabels,
    OperationLabels, Outcome, RequestLabels, SpanLabels, StateLabels,
};
pub(crate) use labels::{InstanceEnd, KeyValueOperation, MethodLabel, SpanFate, StatusLabel};
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
    key_value_operations: [[Counter; Outcome::ALL.len()]; KeyValueOperation::ALL.len()],
    pool_connections: Family<StateLabels, Gauge>,
    pool_max_connections: Gauge,
    pool_waiting: Gauge,
    postgres_up: Gauge,
    trace_spans: [Counter; SpanFate::ALL.len()],
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
        let key_value: Family<OperationLabels, Counter> = Family::default();
        let spans: Family<SpanLabels, Counter> = Family::default();
        let mut metrics = Self {
            registry: Registry::default(),
            request_duration: Family::new_with_constructor(durations),
            requests_in_flight: Gauge::default(),
            request_statements: Family::new_with_constructor(statements),
            cache_results: Family::default(),
            instances: Family::default(),
            instances_started: Family::default(),
            instances_ended: Family::default(),
            key_value_operations: KeyValueOperation::ALL.map(|operation| {
                Outcome::ALL.map(|outcome| {
                    let labels = OperationLabels { operation, outcome };
                    key_value.get_or_create_owned(&labels)
                })
            }),
            pool_connections: Family::default(),
            pool_max_connections: Gauge::default(),
            pool_waiting: Gauge::default(),
            postgres_up: Gauge::default(),
            trace_spans: SpanFate::ALL
                .map(|outcome| spans.get_or_create_owned(&SpanLabels { outcome })),
            host: ComponentId(HOST.into()),
        };
        let registry = &mut metrics.registry;
        register(registry, REQUEST_DURATION, &metrics.request_duration);
        register(registry, REQUESTS_IN_FLIGHT, &metrics.requests_in_flight);
        register(registry, REQUEST_STATEMENTS, &metrics.request_statements);
        register(registry, CACHE_RESULTS, &metrics.cache_results);
        register(registry, INSTANCES, &metrics.instances);
        register(registry, INSTANCES_STARTED, &metrics.instances_started);
        register(registry, INSTANCES_ENDED, &metrics.instances_ended);
        register(registry, KEY_VALUE_OPERATIONS, &key_value);
        register(registry, POOL_CONNECTIONS, &metrics.pool_connections);
        register(
            registry,
            POOL_MAX_CONNECTIONS,
            &metrics.pool_max_connections,
        );
        register(registry, POOL_WAITING, &metrics.pool_waiting);
        register(registry, POSTGRES_UP, &metrics.postgres_up);
        register(registry, TRACE_SPANS, &spans);
        metrics
    }

    /// The counters of one component, which are there from the start: a rate needs the zero that
    /// it began with.
    pub(crate) fn component(&self, id: &Arc<str>) -> ComponentMetrics {
        let component = ComponentId(Arc::clone(id));
        let labels = ComponentLabels {
            component: component.clone(),
        };
        ComponentMetrics {
            successes: [const { OnceLock::new() }; MethodLabel::ALL.len()],
            statements: self.request_statements.get_or_create_owned(&labels),
            cache_results: CacheResult::ALL.map(|result| {
                let component = component.clone();
                let labels = CacheLabels { component, result };
                self.cache_results.get_or_create_owned(&labels)
            }),
            instances: self.instances.get_or_create_owned(&labels),
            started: self.instances_started.get_or_create_owned(&labels),
            ended: InstanceEnd::ALL.map(|reason| {
                let component = component.clone();
                let labels = EndLabels { component, reason };
                self.instances_ended.get_or_create_owned(&labels)
            }),
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
        let seconds = took.as_secs_f64();
        let labels = || RequestLabels {
            component: component.map_or(&self.host, |one| &one.component).clone(),
            method,
            status,
        };
        if let Some(component) = component.filter(|_| status.is_success()) {
            let (of, duration) = component.successes[method as usize].get_or_init(|| {
                let duration = self.request_duration.get_or_create_owned(&labels());
                (status, duration)
            });
            if *of == status {
                return duration.observe(seconds);
            }
        }
        self.request_duration
            .get_or_create(&labels())
            .observe(seconds);
    }

    /// Says that an operation on the key-value store ended.
    pub(crate) fn key_value_ends(&self, operation: KeyValueOperation, is_ok: bool) {
        self.key_value_operations[operation as usize][Outcome::of(is_ok) as usize].inc();
    }

    /// Says what became of so many spans.
    pub(crate) fn spans_end(&self, outcome: SpanFate, count: u64) {
        self.trace_spans[outcome as usize].inc_by(count);
    }

    /// How many spans ended like that.
    #[cfg(test)]
    pub(crate) fn spans(&self, outcome: SpanFate) -> u64 {
        self.trace_spans[outcome as usize].get()
    }

    /// The metrics as text, without the line that ends it.
    pub(crate) fn to_text(&self, observed: &Observed) -> String {
        let pool = observed.pool;
        for state in ConnectionState::ALL {
            let count = match state {
                ConnectionState::InUse => pool.in_use,
                ConnectionState::Idle => pool.idle,
            };
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
#[derive(Debug)]
pub(crate) struct ComponentMetrics {
    component: ComponentId,
    /// By method: how long requests took that had the status of the first success. Most have it, and
    /// need not look for their labels among those of all components, behind a lock.
    successes: [OnceLock<(StatusLabel, Histogram)>; MethodLabel::ALL.len()],
    statements: Histogram,
    cache_results: [Counter; CacheResult::ALL.len()],
    instances: Gauge,
    started: Counter,
    ended: [Counter; InstanceEnd::ALL.len()],
}

impl ComponentMetrics {
    /// Counts the statements that an answer says it took.
    pub(crate) fn note_statements(&self, count: u32) {
        self.statements.observe(f64::from(count));
    }

    /// Counts what an answer says of the cache; what is no known word is not counted.
    pub(crate) fn note_cache(&self, said: &str) {
        let mut results = CacheResult::ALL.into_iter();
        if let Some(result) = results.find(|result| result.as_str() == said) {
            self.cache_results[result as usize].inc();
        }
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
        self.component.instances.dec();
        self.component.ended[self.end as usize].inc();
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
                (Some(&health), "GET", StatusLabel::Answered(201), 1),
                (Some(&health), "GET", StatusLabel::Answered(404), 1),
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
                &count("health", "GET", "201", 1),
                &count("health", "GET", "404", 1),
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
                // The first one to end is an increase.
                "turnpike_instances_ended_total{component=\"health\",reason=\"idle\"} 0",
                "turnpike_key_value_operations_total{operation=\"get\",outcome=\"failed\"} 0",
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
