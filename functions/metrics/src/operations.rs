use shared::http::operation::{Access, Answer, Operation, Verb};

pub const READ: Operation = Operation::new(
    "metrics",
    Verb::Get,
    "/metrics",
    Access::Permission("metrics:read"),
)
.tag("operations")
.summary("The metrics that the database keeps")
.details(
    "The permission is the platform's. OpenMetrics 1.0, for Prometheus: mail that waits, connections \
     and transactions of Postgres, and what all components have counted. The path is not below /api, so \
     that a proxy which exposes the API does not expose it.",
)
.answers(&[Answer::of::<String>(
    "application/openmetrics-text",
    200,
    "The metrics.",
    "# HELP turnpike_outbox_messages Messages that wait to be sent, 10,000 at most.\n# TYPE turnpike_outbox_messages gauge\nturnpike_outbox_messages 3\n# EOF\n",
)]);
