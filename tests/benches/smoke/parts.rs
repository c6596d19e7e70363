//! Tests of those parts of the benchmark that need no server.

#![allow(clippy::float_arithmetic, reason = "latencies and rates are not money")]
#![allow(dead_code, reason = "the benchmark uses what the tests do not")]

mod other_work;
mod report;
mod response;
