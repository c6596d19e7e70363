//! What the metrics of a host are called, and what is said of them.

use shared::metrics::{MetricDescription, MetricKind, STORED};

pub(super) const REQUEST_DURATION: MetricDescription = MetricDescription::new(
    "http_request_duration_seconds",
    MetricKind::Histogram,
    "How long requests took, from their head to the head of the answer",
);
pub(super) const REQUESTS_IN_FLIGHT: MetricDescription = MetricDescription::new(
    "turnpike_http_requests_in_flight",
    MetricKind::Gauge,
    "Requests that are not answered yet",
);
pub(super) const REQUEST_STATEMENTS: MetricDescription = MetricDescription::new(
    "turnpike_request_statements",
    MetricKind::Histogram,
    "Statements to Postgres of one request, as X-DB-Queries has them",
);
pub(super) const CACHE_RESULTS: MetricDescription = MetricDescription::new(
    "turnpike_cache_results",
    MetricKind::Counter,
    "Answers by how the cache took part, as X-Cache has it",
);
pub(super) const INSTANCES: MetricDescription = MetricDescription::new(
    "turnpike_instances",
    MetricKind::Gauge,
    "Instances of a component that there are",
);
pub(super) const INSTANCES_STARTED: MetricDescription = MetricDescription::new(
    "turnpike_instances_started",
    MetricKind::Counter,
    "Instances of a component that were made",
);
pub(super) const INSTANCES_ENDED: MetricDescription = MetricDescription::new(
    "turnpike_instances_ended",
    MetricKind::Counter,
    "Instances of a component that ended, by reason",
);
pub(super) const KEY_VALUE_OPERATIONS: MetricDescription = MetricDescription::new(
    "turnpike_key_value_operations",
    MetricKind::Counter,
    "Operations of components on the key-value store, by how they ended",
);
pub(super) const POOL_CONNECTIONS: MetricDescription = MetricDescription::new(
    "turnpike_postgres_pool_connections",
    MetricKind::Gauge,
    "Connections of this host to Postgres, by state",
);
pub(super) const POOL_MAX_CONNECTIONS: MetricDescription = MetricDescription::new(
    "turnpike_postgres_pool_max_connections",
    MetricKind::Gauge,
    "Connections that this host opens at most",
);
pub(super) const POOL_WAITING: MetricDescription = MetricDescription::new(
    "turnpike_postgres_pool_waiting",
    MetricKind::Gauge,
    "Statements that wait for a connection of this host",
);
pub(super) const POSTGRES_UP: MetricDescription = MetricDescription::new(
    "turnpike_postgres_up",
    MetricKind::Gauge,
    "Whether Postgres answered when the metrics were read",
);
pub(super) const TRACE_SPANS: MetricDescription = MetricDescription::new(
    "turnpike_trace_spans",
    MetricKind::Counter,
    "Spans of traces, by whether the collector took them",
);
pub(super) const RESIDENT_MEMORY: MetricDescription = MetricDescription::new(
    "process_resident_memory_bytes",
    MetricKind::Gauge,
    "Resident memory of the host, where the system tells",
);
pub(super) const CPU_TIME: MetricDescription = MetricDescription::new(
    "process_cpu_seconds",
    MetricKind::Counter,
    "Processor time of the host, where the system tells",
);
pub(super) const OPEN_FILES: MetricDescription = MetricDescription::new(
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
