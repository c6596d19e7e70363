//! A small host that serves Turnpike's components without Spin: the same manifest, the same
//! `.wasm` files, the same imports.
//!
//! [`LoadedApp`] is an application with its components compiled, [`Host`] serves one. A component
//! cannot tell this host from Spin except by its speed; where Spin has a sharp edge that a
//! component must not depend on (a transaction left open on a shared connection), this host
//! refuses instead.

#![allow(
    clippy::disallowed_methods,
    reason = "the list is for functions, which take the time from their context; a host has to ask"
)]

pub mod cli;
mod component_statements;
pub mod function_build;
mod http_post;
mod imports;
mod log_sink;
pub mod manifest;
pub mod metrics;
pub mod migrations;
pub mod postgres_cluster;
mod postgres_tls;
mod runtime;
mod traces;

pub use imports::key_value::store::{DEFAULT_MEMORY_BYTES, Fault, KeyValueOptions, KeyValueStore};
pub use log_sink::{CapturedLog, LogSink};
pub use manifest::Manifest;
pub use runtime::app::{DEFAULT_CACHE_DIR, LoadedApp};
pub use runtime::handler::HandlerExport;
pub use runtime::host::{Host, HostOptions};
pub use runtime::worker::InstanceReuse;
