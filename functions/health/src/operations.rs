use shared::http::operation::{Access, Answer, Operation, Verb};

/// The process serves.
#[shared::answer]
pub struct Live {
    pub status: Health,
    pub version: &'static str,
}

/// Requests can be answered.
#[shared::answer]
pub struct Ready {
    pub status: Health,
    pub postgres: Health,
    /// Without its cache Turnpike answers correctly, only slower.
    pub cache: CacheHealth,
}

/// It works. When it does not, the answer is a problem.
#[shared::answer]
pub enum Health {
    Ok,
}

#[shared::answer]
pub enum CacheHealth {
    Ok,
    Unavailable,
}

pub const LIVE: Operation = Operation::new("health", Verb::Get, "/api/v1/health", Access::Public)
    .tag("operations")
    .summary("Whether the process serves")
    .details("Asks nothing of Postgres or the cache: a restart would mend neither.")
    .without_database()
    .answers(&[Answer::json::<Live>(
        200,
        "It serves.",
        r#"{"status": "ok", "version": "0.1.0"}"#,
    )]);

pub const READY: Operation = Operation::new(
    "health-ready",
    Verb::Get,
    "/api/v1/health/ready",
    Access::Public,
)
.tag("operations")
.summary("Whether requests can be answered")
.details("Fails without Postgres. The cache is reported and not required.")
.answers(&[Answer::json::<Ready>(
    200,
    "Postgres answers.",
    r#"{"status": "ok", "postgres": "ok", "cache": "ok"}"#,
)]);
