//! Metrics in the text format of OpenMetrics: how one is described, and the text of those that the
//! database keeps. Both the local host and the component `metrics` show the latter, so that they
//! have the same names wherever they are read.

use std::fmt::{Display, Write as _};

use serde::Deserialize;

/// The media type of the text.
pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The line that ends the text.
pub const END: &str = "# EOF\n";

/// How a metric is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows, until whoever counts begins anew. Its samples end with `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// How many observations there were up to each bound, and their sum.
    Histogram,
}

impl MetricKind {
    /// As the text has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }

    /// What the names of a metric's samples end with.
    pub const fn sample_suffixes(self) -> &'static [&'static str] {
        match self {
            Self::Counter => &["_total"],
            Self::Gauge => &[""],
            Self::Histogram => &["_bucket", "_count", "_sum"],
        }
    }
}

/// What is said of a metric.
#[derive(Debug, Clone, Copy)]
pub struct MetricDescription {
    /// Its name, with the unit last and without what samples end with.
    pub name: &'static str,
    /// How it is to be read.
    pub kind: MetricKind,
    /// What it is, in one sentence without its full stop.
    pub help: &'static str,
}

impl MetricDescription {
    /// A metric of this name, to be read as `kind`, with its one sentence.
    pub const fn new(name: &'static str, kind: MetricKind, help: &'static str) -> Self {
        Self { name, kind, help }
    }
}

const OUTBOX_MESSAGES: MetricDescription = MetricDescription::new(
    "turnpike_outbox_messages",
    MetricKind::Gauge,
    "Messages that wait to be sent, 10,000 at most",
);
const OUTBOX_OLDEST_DUE_AGE: MetricDescription = MetricDescription::new(
    "turnpike_outbox_oldest_due_age_seconds",
    MetricKind::Gauge,
    "How long the message that waits longest has been due",
);
const CONNECTIONS: MetricDescription = MetricDescription::new(
    "turnpike_postgres_connections",
    MetricKind::Gauge,
    "Connections to the Postgres server, of all databases",
);
const MAX_CONNECTIONS: MetricDescription = MetricDescription::new(
    "turnpike_postgres_max_connections",
    MetricKind::Gauge,
    "Connections that the Postgres server takes",
);
const TRANSACTIONS: MetricDescription = MetricDescription::new(
    "turnpike_postgres_transactions",
    MetricKind::Counter,
    "Transactions of the database, by how they ended",
);
const DEADLOCKS: MetricDescription = MetricDescription::new(
    "turnpike_postgres_deadlocks",
    MetricKind::Counter,
    "Deadlocks in the database",
);
const BLOCKS: MetricDescription = MetricDescription::new(
    "turnpike_postgres_blocks",
    MetricKind::Counter,
    "Blocks that were read in the database, from its buffers or from outside them",
);
const CACHE_LOOKUPS: MetricDescription = MetricDescription::new(
    "turnpike_cache_lookups",
    MetricKind::Counter,
    "Look-ups in the cache, by namespace and result",
);
const USAGE_EVENTS: MetricDescription = MetricDescription::new(
    "turnpike_usage_events",
    MetricKind::Counter,
    "Usage events that were sent in, by what became of them",
);
const AUTH_OPERATIONS: MetricDescription = MetricDescription::new(
    "turnpike_auth_operations",
    MetricKind::Counter,
    "Requests to operations of auth, by how they were answered",
);

/// All metrics that the database keeps. A resource that counts something adds it here.
pub const STORED: [MetricDescription; 10] = [
    OUTBOX_MESSAGES,
    OUTBOX_OLDEST_DUE_AGE,
    CONNECTIONS,
    MAX_CONNECTIONS,
    TRANSACTIONS,
    DEADLOCKS,
    BLOCKS,
    CACHE_LOOKUPS,
    USAGE_EVENTS,
    AUTH_OPERATIONS,
];

/// The statement that reads [`StoredFigures`] as one JSON text.
pub const STORED_FIGURES_SQL: &str = "SELECT stored_metrics()::text";

/// What the SQL function `stored_metrics` answers with.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct StoredFigures {
    /// Mail that waits.
    pub outbox: Outbox,
    /// The Postgres server and its database.
    pub postgres: Server,
    /// What components have counted, since the database was made.
    pub counts: Vec<OperationCount>,
}

/// Mail that waits.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Outbox {
    /// Messages that are not settled, 10,000 at most.
    pub messages: u64,
    /// How long the message that waits longest has been due; zero when none is.
    pub oldest_due_age_millis: u64,
}

/// The Postgres server and its database.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Server {
    /// Connections of all databases.
    pub connections: u64,
    /// Connections that it takes.
    pub max_connections: u64,
    /// Transactions of this database that were committed.
    pub committed: u64,
    /// Transactions of this database that were rolled back.
    pub rolled_back: u64,
    /// Deadlocks in this database.
    pub deadlocks: u64,
    /// Blocks of this database that were found in its buffers.
    pub blocks_hit: u64,
    /// Blocks of this database that were not.
    pub blocks_read: u64,
}

/// One count that components keep.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct OperationCount {
    /// What is counted, such as `cache_hits`.
    pub name: String,
    /// Who counted it.
    pub component: String,
    /// What tells apart counts of one name, such as a namespace; empty if nothing does.
    pub label: String,
    /// So many.
    pub count: u64,
}

/// Where the counts of a name are shown.
struct Shown<'a> {
    metric: &'static MetricDescription,
    labels: Vec<(&'static str, &'a str)>,
}

impl OperationCount {
    /// The metric that shows the count, and its labels; `None` for a count that is no metric.
    fn shown(&self) -> Option<Shown<'_>> {
        let component = ("component", self.component.as_str());
        let label = self.label.as_str();
        // A key's pattern begins with its namespace.
        let lookups = |result| {
            let namespace = label.split(':').next().unwrap_or_default();
            let labels = vec![
                ("namespace", namespace),
                ("pattern", label),
                ("result", result),
            ];
            (&CACHE_LOOKUPS, labels)
        };
        let auth = |outcome| {
            let labels = vec![("operation", label), ("outcome", outcome)];
            (&AUTH_OPERATIONS, labels)
        };
        let (metric, labels) = match self.name.as_str() {
            "cache_hits" => lookups("hit"),
            "cache_misses" => lookups("miss"),
            "cache_bypasses" => lookups("bypass"),
            "cache_errors" => lookups("error"),
            "usage_events" => (&USAGE_EVENTS, vec![("outcome", label)]),
            "auth_operations_ok" => auth("ok"),
            "auth_operations_refused" => auth("refused"),
            "auth_operations_failed" => auth("failed"),
            _ => return None,
        };
        let labels = std::iter::once(component).chain(labels).collect();
        Some(Shown { metric, labels })
    }
}

/// Writes the metrics that the database keeps, without the line that ends the text.
pub fn write_stored(figures: &StoredFigures, text: &mut String) {
    let StoredFigures {
        outbox,
        postgres,
        counts,
    } = figures;
    write_metric(text, &OUTBOX_MESSAGES, [(&[][..], outbox.messages)]);
    let age = seconds(outbox.oldest_due_age_millis);
    write_metric(text, &OUTBOX_OLDEST_DUE_AGE, [(&[][..], age)]);
    write_metric(text, &CONNECTIONS, [(&[][..], postgres.connections)]);
    write_metric(
        text,
        &MAX_CONNECTIONS,
        [(&[][..], postgres.max_connections)],
    );
    write_metric(
        text,
        &TRANSACTIONS,
        [
            (&[("outcome", "committed")][..], postgres.committed),
            (&[("outcome", "rolled_back")], postgres.rolled_back),
        ],
    );
    write_metric(text, &DEADLOCKS, [(&[][..], postgres.deadlocks)]);
    write_metric(
        text,
        &BLOCKS,
        [
            (&[("source", "buffers")][..], postgres.blocks_hit),
            (&[("source", "outside")], postgres.blocks_read),
        ],
    );
    let shown: Vec<_> = counts
        .iter()
        .filter_map(|count| Some((count.shown()?, count.count)))
        .collect();
    for metric in [&CACHE_LOOKUPS, &USAGE_EVENTS, &AUTH_OPERATIONS] {
        let of_metric = shown
            .iter()
            .filter(|(shown, _)| shown.metric.name == metric.name);
        let samples = of_metric.map(|(shown, count)| (shown.labels.as_slice(), *count));
        write_metric(text, metric, samples);
    }
}

/// Writes a metric with its samples, each with its labels, or nothing when it has none.
pub fn write_metric<'a, V: Display>(
    text: &mut String,
    metric: &MetricDescription,
    samples: impl IntoIterator<Item = (&'a [(&'static str, &'a str)], V)>,
) {
    let mut samples = samples.into_iter().peekable();
    if samples.peek().is_none() {
        return;
    }
    let MetricDescription { name, kind, help } = metric;
    // Writing to a text does not fail.
    let _ = write!(
        text,
        "# HELP {name} {help}.\n# TYPE {name} {}\n",
        kind.as_str()
    );
    let suffix = match kind {
        MetricKind::Counter => "_total",
        MetricKind::Gauge | MetricKind::Histogram => "",
    };
    for (labels, value) in samples {
        text.push_str(name);
        text.push_str(suffix);
        for (index, (label, value)) in labels.iter().enumerate() {
            text.push(if index == 0 { '{' } else { ',' });
            text.push_str(label);
            text.push_str("=\"");
            push_escaped(text, value);
            text.push('"');
        }
        if !labels.is_empty() {
            text.push('}');
        }
        let _ = writeln!(text, " {value}");
    }
}

/// Writes a label's value, which may hold anything.
fn push_escaped(text: &mut String, value: &str) {
    for character in value.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            other => text.push(other),
        }
    }
}

fn seconds(millis: u64) -> String {
    format!("{}.{:03}", millis / 1_000, millis % 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(name: &str, label: &str, count: u64) -> OperationCount {
        OperationCount {
            name: name.to_owned(),
            component: "auth-login".to_owned(),
            label: label.to_owned(),
            count,
        }
    }

    fn text_of(counts: Vec<OperationCount>) -> String {
        let figures = StoredFigures {
            outbox: Outbox {
                messages: 3,
                oldest_due_age_millis: 61_005,
            },
            postgres: Server {
                connections: 12,
                max_connections: 500,
                committed: 1_000,
                rolled_back: 4,
                deadlocks: 0,
                blocks_hit: 99,
                blocks_read: 1,
            },
            counts,
        };
        let mut text = String::new();
        write_stored(&figures, &mut text);
        text
    }

    #[test]
    fn figures_become_samples() {
        let text = text_of(Vec::new());
        for line in [
            "# TYPE turnpike_outbox_messages gauge",
            "turnpike_outbox_messages 3",
            "turnpike_outbox_oldest_due_age_seconds 61.005",
            "# TYPE turnpike_postgres_transactions counter",
            "turnpike_postgres_transactions_total{outcome=\"committed\"} 1000",
            "turnpike_postgres_transactions_total{outcome=\"rolled_back\"} 4",
            "turnpike_postgres_blocks_total{source=\"buffers\"} 99",
        ] {
            assert!(text.lines().any(|other| other == line), "{line}:\n{text}");
        }
        assert!(
            !text.contains("turnpike_cache_lookups"),
            "a metric without samples is left out"
        );
    }

    #[test]
    fn counts_become_samples_with_labels() {
        let lookups = "turnpike_cache_lookups_total{component=\"auth-login\"";
        let table = [
            (
                count("cache_hits", "token:{digest}", 7),
                Some(format!(
                    "{lookups},namespace=\"token\",pattern=\"token:{{digest}}\",result=\"hit\"}} 7"
                )),
            ),
            (
                count("cache_errors", "a\"b:\\c\nd", 1),
                Some(format!(
                    "{lookups},namespace=\"a\\\"b\",pattern=\"a\\\"b:\\\\c\\nd\",result=\"error\"}} 1"
                )),
            ),
            (
                count("usage_events", "accepted", 5),
                Some(
                    "turnpike_usage_events_total{component=\"auth-login\",outcome=\"accepted\"} 5"
                        .to_owned(),
                ),
            ),
            (
                count("auth_operations_refused", "auth-login", 2),
                Some(
                    "turnpike_auth_operations_total{component=\"auth-login\",\
                     operation=\"auth-login\",outcome=\"refused\"} 2"
                        .to_owned(),
                ),
            ),
            // A part of the hits, which are counted already.
            (count("cache_hits_late", "token", 1), None),
            (count("of_no_metric", "", 1), None),
        ];
        let without = text_of(Vec::new());
        for (count, expected) in table {
            let shown = format!("{count:?}");
            let text = text_of(vec![count]);
            match expected {
                Some(line) => assert!(
                    text.lines().any(|other| other == line),
                    "{shown} must give {line}:\n{text}"
                ),
                None => assert_eq!(text, without, "{shown} is no metric"),
            }
        }
    }

    #[test]
    fn names_follow_the_conventions() {
        for (index, metric) in STORED.iter().enumerate() {
            let name = metric.name;
            assert!(name.starts_with("turnpike_"), "{name}");
            assert!(!name.ends_with("_total"), "{name}: samples end with it");
            assert!(
                !metric.help.ends_with('.'),
                "{name}: the text adds the stop"
            );
            let later = &STORED[index + 1..];
            assert!(later.iter().all(|other| other.name != name), "{name} twice");
        }
    }
}
