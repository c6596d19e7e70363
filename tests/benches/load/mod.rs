//! What the benchmarks share: the load generator, the servers that are measured, and how figures
//! are taken, printed and compared.

#![allow(dead_code, reason = "each benchmark uses a part of it")]

pub mod arguments;
pub mod comparison;
pub mod credit_fixtures;
pub mod drawing;
pub mod figures;
pub mod fixtures;
pub mod generator;
pub mod machine;
pub mod native_baseline;
pub mod native_billing;
pub mod native_introspection;
pub mod native_summary;
pub mod other_work;
pub mod phase;
pub mod response;
pub mod run;
pub mod server_process;
pub mod side_by_side;
pub mod table;
pub mod workload;
