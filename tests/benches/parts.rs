//! Tests of those parts of the benchmarks that need no server.

#![allow(clippy::float_arithmetic, reason = "latencies and rates are not money")]
#![allow(dead_code, reason = "the benchmarks use what the tests do not")]

mod load {
    pub mod comparison;
    pub mod figures;
    pub mod other_work;
    pub mod response;

    /// What a report is to those who start a benchmark; they are not part of the tests.
    pub mod run {
        /// As in the benchmarks.
        pub trait Figures {
            /// As in the benchmarks.
            fn compared(&self) -> super::comparison::Compared;
            /// As in the benchmarks.
            fn to_text(&self) -> String;
        }
    }
}

#[path = "auth/report.rs"]
mod auth_report;
#[path = "smoke/report.rs"]
mod smoke_report;
