//! Tests of those parts of the benchmarks that need no server.

#![allow(clippy::float_arithmetic, reason = "latencies and rates are not money")]
#![allow(dead_code, reason = "the benchmarks use what the tests do not")]

mod load {
    pub mod arguments;
    pub mod comparison;
    pub mod drawing;
    pub mod figures;
    pub mod machine;
    pub mod other_work;
    pub mod response;
    pub mod side_by_side;
    pub mod table;
    pub mod workload;
}

#[path = "auth/report.rs"]
mod auth_report;
#[path = "summary/billing.rs"]
mod billing;
#[path = "summary/events.rs"]
mod events;
#[path = "ingest/report.rs"]
mod ingest_report;
#[path = "rating/report.rs"]
mod rating_report;
#[path = "scaling/report.rs"]
mod scaling_report;
mod shared_build;
#[path = "smoke/report.rs"]
mod smoke_report;
#[path = "spend/arguments.rs"]
mod spend_arguments;
#[path = "spend/report.rs"]
mod spend_report;
#[path = "summary/questions.rs"]
mod summary_questions;
#[path = "summary/report.rs"]
mod summary_report;

#[path = "all"]
mod all {
    pub mod arguments;
    pub mod report;
    pub mod targets;
}

#[path = "ops-center"]
mod ops_center {
    pub mod arguments;
    pub mod comparison;
    pub mod endpoints;
    pub mod plot;
    pub mod report;
}

#[path = "personas"]
mod personas {
    pub mod arguments;
    pub mod bottleneck;
    pub mod generated;
    pub mod html;
    pub mod placeholders;
    pub mod processes;
    pub mod report;
    pub mod scenario;
}
